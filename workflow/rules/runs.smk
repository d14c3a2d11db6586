# Runs: a method as a variant, on a dataset, from a seed. Training and scoring are one job; evaluation knows no method.


rule train:
    input:
        index="results/{dataset}/index.h5",
        features=lambda wildcards: study.features(wildcards),
        words=lambda wildcards: study.words(wildcards),
    output:
        weights="results/{dataset}/runs/{method}/{variant}/seed{seed}/weights.pt",
        scores="results/{dataset}/runs/{method}/{variant}/seed{seed}/scores.h5",
        history="results/{dataset}/runs/{method}/{variant}/seed{seed}/history.csv",
    conda:
        "../../envs/torch.yaml"
    threads: study.compute["threads"]
    resources:
        gpu=study.gpu,
        mem_mb=16000,
        runtime=240,
    params:
        spec=lambda wildcards: canonical(study.run(wildcards).slice),
        code=lambda wildcards: code_hash(f"zslpipe.methods.{wildcards.method}", "zslpipe.running"),
        folder=subpath(output.scores, parent=True),
        words=lambda wildcards, input: f"--words {input.words}" if input.words else "",
    shell:
        "python -m zslpipe train --spec {params.spec:q} --seed {wildcards.seed} --index {input.index}"
        " --features {input.features} {params.words} --output {params.folder}"
        " --threads {threads} --compute {study.compute_json:q}"


# Maps of some unseen images, for the pictures.
rule attend:
    input:
        weights="results/{dataset}/runs/{method}/{variant}/seed{seed}/weights.pt",
        index="results/{dataset}/index.h5",
        features=lambda wildcards: study.features(wildcards),
        words=lambda wildcards: study.words(wildcards),
    output:
        "results/{dataset}/runs/{method}/{variant}/seed{seed}/attention.h5",
    conda:
        "../../envs/torch.yaml"
    resources:
        gpu=study.gpu,
        mem_mb=16000,
        runtime=15,
    params:
        pictures=plan.PICTURED_IMAGES,
        code=code_hash("zslpipe.attending"),
        words=lambda wildcards, input: f"--words {input.words}" if input.words else "",
    shell:
        "python -m zslpipe attend --weights {input.weights} --index {input.index} --features {input.features}"
        " {params.words} --count {params.pictures} --output {output} --compute {study.compute_json:q}"


rule evaluate:
    input:
        "results/{dataset}/runs/{method}/{variant}/seed{seed}/scores.h5",
    output:
        "results/{dataset}/runs/{method}/{variant}/seed{seed}/metrics.json",
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=8000,
        runtime=10,
    params:
        code=code_hash("zslpipe.evaluation"),
    shell:
        "python -m zslpipe evaluate --scores {input} --output {output}"
