# Somebody else's scores: a user's file becomes the score matrix that a training would have left.


rule import_scores:
    input:
        unpack(study.results.imported.inputs),
    output:
        scores=paths.imported_scores,
        metrics=paths.imported_metrics,
    wildcard_constraints:
        imported=alternatives(study.config["imported"]),
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=8000,
        runtime=20,
    params:
        source=study.results.imported.file,
        told=study.results.imported.options,
        code=study.results.imported.code,
        run=study.results.imported.asked,
        kind="scores",
        metrics=lambda wildcards, output: f"--metrics {output.metrics}",
    shell:
        "python -m zslpipe import-scores {params.source:q} --index {input.index}"
        " --indices {study.datasets.indices_json:q} --name {wildcards.imported}"
        " --kind {params.kind} --seed {wildcards.seed} {params.told} --run {params.run:q}"
        " --output {output.scores} {params.metrics}"


# Of validation and of task-irrelevant images: what a rebalancing learns from.
use rule import_scores as import_further_scores with:
    input:
        unpack(lambda wildcards: study.results.imported.inputs(wildcards, wildcards.file)),
    output:
        scores=paths.imported,
    wildcard_constraints:
        imported=alternatives(study.config["imported"]),
        file="validation|irrelevant",
    params:
        source=lambda wildcards: study.results.imported.file(wildcards, wildcards.file),
        told=lambda wildcards: study.results.imported.options(wildcards, wildcards.file),
        code=lambda wildcards: study.results.imported.code(wildcards, wildcards.file),
        run=study.results.imported.asked,
        kind="{file}",
        metrics="",
