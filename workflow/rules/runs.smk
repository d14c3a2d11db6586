# Runs: a method as a variant ({run}: method/variant), on a dataset, from a seed. Training, scoring
# and evaluation are one job.


# Light heads: on cached features, minutes each. Weights and scores stay where they are until the job
# writes others (update), so that one that refuses what it reads loses nothing. Snakemake takes them
# for those of this job even where it failed: metrics.json, which does not stay, makes it due again.
rule train:
    input:
        unpack(study.runs.inputs),
    output:
        weights=update(paths.weights),
        scores=update(paths.scores),
        history=update(paths.history),
        metrics=paths.metrics,
    benchmark:
        paths.measured("train")
    wildcard_constraints:
        run=alternatives(study.runs.light),
    conda:
        "../../envs/torch.yaml"
    threads: study.compute["threads"]
    resources:
        gpu=study.gpu,
        mem_mb=study.resources.training,
        runtime=study.resources.training_minutes,
    params:
        spec=lambda wildcards: canonical(study.runs.run(wildcards).slice),
        code=lambda wildcards: study.runs.code(wildcards, "train"),
        folder=subpath(output.scores, parent=True),
        reads=study.runs.options,
    shell:
        "ZSLPIPE_LOG=results/logs/train/{wildcards.dataset}/{wildcards.run}/seed{wildcards.seed}.log"
        " python -m zslpipe train --spec {params.spec:q} --seed {wildcards.seed} {params.reads}"
        " --data-root {study.data_root:q} --output {params.folder} --threads {threads}"
        " --compute {study.compute_json:q}"


# End-to-end methods: from images, a GPU's hours. A job that is cut off goes on from its checkpoint.
use rule train as train_end_to_end with:
    wildcard_constraints:
        run=alternatives(study.runs.end_to_end),
    threads: study.compute["image_threads"]
    resources:
        gpu=study.gpu,
        mem_mb=study.resources.training,
        runtime=study.resources.training_minutes,


# Whoever makes scores evaluates them too; where the evaluation's code has changed since, it is done
# again here: for a dataset's results from one seed at once, before a table or a figure is made.
rule evaluate:
    input:
        unpack(study.evaluation.files),
    output:
        paths.evaluated,
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=study.resources.scores,
        runtime=30,
    params:
        code=code_hash("zslpipe.commands.together:reevaluate"),
        runs=study.evaluation.asked,
    shell:
        "python -m zslpipe reevaluate --runs {params.runs:q} --output {output} {input.scores}"


# Of runs with `track: test`: what their best epoch on the test images would have been.
rule best_on_test:
    input:
        metrics=paths.metrics,
        history=paths.history,
        evaluated=paths.evaluated,
    output:
        paths.best_on_test,
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code_hash("zslpipe.commands.scores:best_on_test"),
    shell:
        "python -m zslpipe best-on-test --metrics {input.metrics} --history {input.history}"
        " --output {output}"
