# Runs: a method as a variant ({run}: method/variant), on a dataset, from a seed. Training and scoring are one job;
# evaluation knows no method.


# Light heads: on cached features, minutes each.
rule train:
    input:
        lambda wildcards: study.features(wildcards),
        index="results/{dataset}/index.h5",
        words=lambda wildcards: study.words(wildcards),
    output:
        weights="results/{dataset}/runs/{run}/seed{seed}/weights.pt",
        scores="results/{dataset}/runs/{run}/seed{seed}/scores.h5",
        history="results/{dataset}/runs/{run}/seed{seed}/history.csv",
    wildcard_constraints:
        run=plan.alternatives(study.light_runs),
    conda:
        "../../envs/torch.yaml"
    threads: study.compute["threads"]
    resources:
        gpu=study.gpu,
        mem_mb=16000,
        runtime=240,
    params:
        spec=lambda wildcards: canonical(study.run(wildcards).slice),
        code=lambda wildcards: study.run_code(wildcards),
        folder=subpath(output.scores, parent=True),
        source=lambda wildcards: study.source_options(wildcards),
        words=lambda wildcards, input: f"--words {input.words}" if input.words else "",
    shell:
        "python -m zslpipe train --spec {params.spec:q} --seed {wildcards.seed} --index {input.index}"
        " {params.source} --data-root {study.data_root:q} {params.words} --output {params.folder}"
        " --threads {threads} --compute {study.compute_json:q}"


# End-to-end methods: from images, a GPU's hours. A job that is cut off goes on from its checkpoint.
use rule train as train_end_to_end with:
    input:
        lambda wildcards: study.drawn_images(wildcards),
        lambda wildcards: study.trunk_weights(wildcards),
        index="results/{dataset}/index.h5",
        words=lambda wildcards: study.words(wildcards),
    wildcard_constraints:
        run=plan.alternatives(study.end_to_end_runs),
    threads: study.compute["image_threads"]
    resources:
        gpu=study.gpu,
        mem_mb=32000,
        runtime=1440,


rule evaluate:
    input:
        "results/{dataset}/runs/{run}/seed{seed}/scores.h5",
    output:
        "results/{dataset}/runs/{run}/seed{seed}/metrics.json",
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=8000,
        runtime=10,
    params:
        code=code_hash("zslpipe.scores.evaluation"),
    shell:
        "python -m zslpipe evaluate --scores {input} --output {output}"
