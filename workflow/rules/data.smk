# Datasets: whatever the user has becomes index.h5; attributes become word vectors, and texts of
# classes class vectors.


# The demo is drawn, not read: pictures, an auxiliary set for its backbone, and the index.
rule render:
    output:
        index=paths.index,
        images=directory(paths.images),
        auxiliary=directory(paths.auxiliary),
        captions=paths.captions,
    benchmark:
        paths.measured("render", "{dataset}")
    wildcard_constraints:
        dataset=alternatives(study.datasets.rendered),
    conda:
        "../../envs/numpy.yaml"
    threads: 2
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 10 * attempt,
    params:
        settings=lambda wildcards: canonical(study.datasets.source(wildcards.dataset)),
        code=lambda wildcards: study.datasets.code(wildcards.dataset),
    shell:
        "python -m zslpipe index --settings {params.settings:q} --output {output.index}"


rule index:
    input:
        lambda wildcards: watched(study.datasets.source_files(wildcards.dataset)),
    output:
        paths.index,
    wildcard_constraints:
        dataset=alternatives(study.datasets.read),
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=study.resources.reading,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        settings=lambda wildcards: canonical(study.datasets.source(wildcards.dataset)),
        code=lambda wildcards: study.datasets.code(wildcards.dataset),
        # Which image files there are, of which sizes and times: an image replaced or added.
        watched=lambda wildcards: study.datasets.watched(wildcards.dataset),
    shell:
        "python -m zslpipe index --settings {params.settings:q} --data-root {study.data_root:q}"
        " --output {output}"


rule inspect:
    input:
        index=paths.index,
        images=lambda wildcards: study.datasets.drawn_images(wildcards.dataset),
    output:
        page=report(
            paths.inspection,
            category="Datasets",
            labels={"dataset": "{dataset}", "what": "counts"},
        ),
        picture=report(
            paths.sample,
            category="Datasets",
            labels={"dataset": "{dataset}", "what": "ten images"},
        ),
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        images=lambda wildcards: study.datasets.image_option(wildcards.dataset),
        code=code_hash("zslpipe.commands.people:inspect_data"),
    shell:
        "python -m zslpipe inspect {input.index} {params.images} --data-root {study.data_root:q}"
        " --output {output.picture}"


rule words:
    input:
        lambda wildcards: watched(study.datasets.word_files(wildcards.words)),
        index=paths.index,
    output:
        paths.words,
    wildcard_constraints:
        words=alternatives(study.texts.other_words),
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=study.resources.word_vectors,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        settings=lambda wildcards: canonical(study.config["words"][wildcards.words]),
        code=lambda wildcards: code_hash("zslpipe.commands.datasets:write_words")
        + braced(study.datasets.word_files(wildcards.words)),
    shell:
        "python -m zslpipe words --index {input.index} --settings {params.settings:q}"
        " --indices {study.datasets.indices_json:q}"
        " --data-root {study.data_root:q} --output {output}"


# Texts of classes, and attributes' words, through a text encoder.
rule texts:
    input:
        lambda wildcards: watched(study.texts.files(study.config["texts"][wildcards.texts])),
        index=paths.index,
        pair=lambda wildcards: study.texts.pair(
            wildcards.dataset, study.config["texts"][wildcards.texts]
        ),
    output:
        paths.texts,
    benchmark:
        paths.measured("texts", "{dataset}/{texts}")
    conda:
        "../../envs/text.yaml"
    threads: study.compute["threads"]
    resources:
        gpu=study.gpu,
        mem_mb=study.resources.encoding,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=lambda wildcards: canonical(study.config["texts"][wildcards.texts]),
        code=lambda wildcards: study.texts.code(
            study.config["texts"][wildcards.texts], "encode_texts"
        ),
        pair=lambda wildcards, input: f"--pair {input.pair}" if input.pair else "",
    shell:
        "python -m zslpipe encode-texts --index {input.index} --settings {params.settings:q}"
        " --indices {study.datasets.indices_json:q}"
        " --data-root {study.data_root:q} {params.pair} --output {output} --threads {threads}"
        " --compute {study.compute_json:q}"


rule encoded_words:
    input:
        lambda wildcards: watched(study.texts.files(study.config["words"][wildcards.words])),
        index=paths.index,
        pair=lambda wildcards: study.texts.pair(
            wildcards.dataset, study.config["words"][wildcards.words]
        ),
    output:
        paths.words,
    wildcard_constraints:
        words=alternatives(study.texts.encoded_words),
    conda:
        "../../envs/text.yaml"
    threads: study.compute["threads"]
    resources:
        gpu=study.gpu,
        mem_mb=study.resources.encoding,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        settings=lambda wildcards: canonical(study.config["words"][wildcards.words]),
        code=lambda wildcards: study.texts.code(
            study.config["words"][wildcards.words], "encode_words"
        ),
        pair=lambda wildcards, input: f"--pair {input.pair}" if input.pair else "",
    shell:
        "python -m zslpipe encode-words --index {input.index} --settings {params.settings:q}"
        " --indices {study.datasets.indices_json:q}"
        " --data-root {study.data_root:q} {params.pair} --output {output} --threads {threads}"
        " --compute {study.compute_json:q}"
