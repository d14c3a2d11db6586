# Datasets: whatever the user has becomes index.h5; attributes become word vectors.


# The demo is drawn, not read: pictures, an auxiliary set for its backbone, and the index.
rule render:
    output:
        index="results/{dataset}/index.h5",
        images=directory("results/{dataset}/images"),
        auxiliary=directory("results/{dataset}/auxiliary"),
    wildcard_constraints:
        dataset=plan.alternatives(study.rendered),
    conda:
        "../../envs/numpy.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        settings=lambda wildcards: canonical(study.source(wildcards.dataset)),
        code=code_hash("zslpipe.datasets.adapters.demo"),
    shell:
        "python -m zslpipe index --settings {params.settings:q} --output {output.index}"


rule index:
    input:
        lambda wildcards: study.source_files(wildcards.dataset),
    output:
        "results/{dataset}/index.h5",
    wildcard_constraints:
        dataset=plan.alternatives(study.read),
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=8000,
        runtime=20,
    params:
        settings=lambda wildcards: canonical(study.source(wildcards.dataset)),
        code=lambda wildcards: code_hash(
            f"zslpipe.datasets.adapters.{study.source(wildcards.dataset)['adapter']}"
        ),
    shell:
        "python -m zslpipe index --settings {params.settings:q} --data-root {study.data_root:q} --output {output}"


rule inspect:
    input:
        index="results/{dataset}/index.h5",
        images=lambda wildcards: study.image_input(wildcards.dataset),
    output:
        page=report(
            "results/{dataset}/inspect.txt",
            category="Datasets",
            labels={"dataset": "{dataset}", "what": "counts"},
        ),
        picture=report(
            "results/{dataset}/inspect.png",
            category="Datasets",
            labels={"dataset": "{dataset}", "what": "ten images"},
        ),
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        images=lambda wildcards: study.image_option(wildcards.dataset),
        code=code_hash("zslpipe.datasets.inspection"),
    shell:
        "python -m zslpipe inspect {input.index} {params.images} --data-root {study.data_root:q} --output {output.picture}"


rule words:
    input:
        lambda wildcards: study.word_files(wildcards.words),
        index="results/{dataset}/index.h5",
    output:
        "results/{dataset}/words/{words}.h5",
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=16000,
        runtime=30,
    params:
        settings=lambda wildcards: canonical(study.config["words"][wildcards.words]),
        code=code_hash("zslpipe.datasets.words"),
    shell:
        "python -m zslpipe words --index {input.index} --settings {params.settings:q}"
        " --data-root {study.data_root:q} --output {output}"
