# Somebody else's scores: a user's file becomes the score matrix that a training would have left.


rule import_scores:
    input:
        unpack(study.results.imported.inputs),
    output:
        paths.imported,
    wildcard_constraints:
        imported=alternatives(study.config["imported"]),
        file="scores|validation|irrelevant",
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
    shell:
        "python -m zslpipe import-scores {params.source:q} --index {input.index}"
        " --indices {study.datasets.indices_json:q} --name {wildcards.imported}"
        " --kind {wildcards.file} --seed {wildcards.seed} {params.told} --run {params.run:q}"
        " --output {output}"
