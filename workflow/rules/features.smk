# Features: each image of a dataset through each extractor, once. Package code is no trigger here:
# FEATURES_VERSION is. Nor is a newer index or folder (ancient): what decides which images there are
# is, and a job that reads features refuses those of other images. What decides stands in small
# files of their own, because behind an ancient input that is to be written again Snakemake looks at
# nothing else, neither parameters nor whether the output is there.


rule specify_backbone:
    output:
        paths.backbone_settings,
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    params:
        images=lambda wildcards: canonical(study.datasets.images(wildcards.dataset)),
        code=code_hash("zslpipe.features.demo_backbone"),
    shell:
        "printf '%s\\n' {params.images:q} > {output}"


rule specify_features:
    output:
        paths.feature_settings,
    wildcard_constraints:
        extractor=alternatives(study.extractors.computed),
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    params:
        settings=lambda wildcards: canonical(study.extractors.settings(wildcards.extractor)),
        images=lambda wildcards: canonical(study.datasets.images(wildcards.dataset)),
        watched=lambda wildcards: study.datasets.watched(wildcards.dataset),
        listed=lambda wildcards: study.datasets.listed(wildcards.dataset),
        version=lambda wildcards: study.extractors.version(wildcards.extractor),
        features=paths.features,
        earlier=paths.earlier_features,
    # Snakemake deletes the features before they are extracted again: a second name keeps their
    # bytes, of which the extraction takes the rows of images that it knows.
    shell:
        "if [ -f {params.features:q} ]; then"
        " ln -f {params.features:q} {params.earlier:q} 2> /dev/null || true; fi;"
        " printf '%s\\n' {params.settings:q} > {output}"


# The stand-in for ImageNet: the demo's network on drawn classes that the dataset does not have.
rule pretrain:
    input:
        paths.backbone_settings,
        images=lambda wildcards: (
            ancient(paths.auxiliary.format(**wildcards))
            if is_settled(paths.backbone.format(**wildcards))
            else paths.auxiliary.format(**wildcards)
        ),
    output:
        paths.backbone,
    benchmark:
        paths.measured("pretrain", "{dataset}")
    conda:
        "../../envs/torch.yaml"
    threads: study.compute["extract_threads"]
    resources:
        gpu=study.gpu,
        mem_mb=study.resources.pretraining,
        runtime=lambda wildcards, attempt: 30 * attempt,
    shell:
        "python -m zslpipe pretrain --images {input.images} --output {output} --threads {threads}"
        " --compute {study.compute_json:q}"


# The stand-in for CLIP: a projection of that network and a text tower, on the same pictures.
rule pretrain_pair:
    input:
        images=lambda wildcards: (
            ancient(paths.auxiliary.format(**wildcards))
            if is_settled(paths.pair.format(**wildcards))
            else paths.auxiliary.format(**wildcards)
        ),
        captions=paths.captions,
        backbone=paths.backbone,
    output:
        paths.pair,
    benchmark:
        paths.measured("pretrain_pair", "{dataset}")
    conda:
        "../../envs/torch.yaml"
    threads: study.compute["extract_threads"]
    resources:
        gpu=study.gpu,
        mem_mb=study.resources.pretraining,
        runtime=lambda wildcards, attempt: 30 * attempt,
    params:
        code=code_hash("zslpipe.features.demo_pair"),
    shell:
        "python -m zslpipe pretrain-pair --images {input.images} --captions {input.captions}"
        " --backbone {input.backbone} --output {output} --threads {threads}"
        " --compute {study.compute_json:q}"


rule extract:
    input:
        paths.feature_settings,
        lambda wildcards: ancient(study.datasets.drawn_images(wildcards.dataset)),
        weights=lambda wildcards: watched(
            study.extractors.weights_file(wildcards.dataset, wildcards.extractor)
        ),
        index=lambda wildcards: (
            ancient(paths.index.format(**wildcards))
            if is_settled(
                paths.features.format(**wildcards),
                study.extractors.weights_file(wildcards.dataset, wildcards.extractor),
            )
            else paths.index.format(**wildcards)
        ),
    output:
        paths.features,
    benchmark:
        paths.measured("extract", "{dataset}/{extractor}")
    wildcard_constraints:
        extractor=alternatives(study.extractors.computed),
    conda:
        "../../envs/torch.yaml"
    threads: study.compute["extract_threads"]
    resources:
        gpu=study.extract_gpu,
        # The executor would ask for so many tasks a GPU, where one is meant.
        tasks_per_gpu=0,
        tasks=study.compute["extract_tasks"],
        mpi=study.launcher,
        mem_mb=study.resources.extraction,
        runtime=study.resources.extraction_minutes,
    params:
        settings=lambda wildcards: canonical(study.extractors.settings(wildcards.extractor)),
        images=lambda wildcards: study.datasets.image_option(wildcards.dataset),
    shell:
        "python -m zslpipe extract --index {input.index} --settings {params.settings:q}"
        " --indices {study.datasets.indices_json:q}"
        " {params.images} --data-root {study.data_root:q} --output {output} --threads {threads}"
        " --compute {study.compute_json:q} --weights {input.weights:q}"


# Pooled features that the dataset's own .mat file holds.
rule store:
    input:
        lambda wildcards: watched(study.datasets.source_files(wildcards.dataset)),
        index=paths.index,
    output:
        paths.features,
    wildcard_constraints:
        extractor=alternatives(study.extractors.stored),
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=study.resources.reading,
        runtime=lambda wildcards, attempt: 20 * attempt,
    params:
        settings=lambda wildcards: canonical(study.datasets.source(wildcards.dataset)),
        code=lambda wildcards: code_hash("zslpipe.commands.features:store")
        + braced(study.datasets.source_files(wildcards.dataset)),
    shell:
        "python -m zslpipe store --index {input.index} --settings {params.settings:q}"
        " --indices {study.datasets.indices_json:q}"
        " --data-root {study.data_root:q} --output {output}"
