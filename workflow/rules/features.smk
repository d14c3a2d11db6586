# Features: each image of a dataset through each extractor, once. Package code is no trigger here: FEATURES_VERSION is.
# Nor is a newer index or folder (ancient): what decides which images there are is, and a job that reads features refuses
# those of other images. What decides stands in small files of their own, because behind an ancient input that is to be
# written again Snakemake looks at no parameters.


rule specify_backbone:
    output:
        "results/{dataset}/backbone.json",
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    params:
        images=lambda wildcards: canonical(study.images(wildcards.dataset)),
        code=code_hash("zslpipe.features.demo_training"),
    shell:
        "printf '%s\\n' {params.images:q} > {output}"


rule specify_features:
    output:
        "results/{dataset}/features/{extractor}.json",
    wildcard_constraints:
        extractor=plan.alternatives(study.computed_extractors),
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    params:
        settings=lambda wildcards: canonical(study.extractor(wildcards.extractor)),
        images=lambda wildcards: canonical(study.images(wildcards.dataset)),
    shell:
        "printf '%s\\n' {params.settings:q} > {output}"


# The stand-in for ImageNet: the demo's network on drawn classes that the dataset does not have.
rule pretrain:
    input:
        "results/{dataset}/backbone.json",
        images=ancient("results/{dataset}/auxiliary"),
    output:
        "results/{dataset}/backbone.pt",
    conda:
        "../../envs/torch.yaml"
    threads: study.compute["extract_threads"]
    resources:
        gpu=study.gpu,
        mem_mb=4000,
        runtime=30,
    shell:
        "python -m zslpipe pretrain --images {input.images} --output {output} --threads {threads}"
        " --compute {study.compute_json:q}"


rule extract:
    input:
        "results/{dataset}/features/{extractor}.json",
        lambda wildcards: ancient(study.image_input(wildcards.dataset)),
        weights=lambda wildcards: study.weights_file(wildcards.dataset, wildcards.extractor),
        index=ancient("results/{dataset}/index.h5"),
    output:
        "results/{dataset}/features/{extractor}.h5",
    wildcard_constraints:
        extractor=plan.alternatives(study.computed_extractors),
    conda:
        "../../envs/torch.yaml"
    threads: study.compute["extract_threads"]
    resources:
        gpu=study.gpu,
        mem_mb=16000,
        runtime=720,
    params:
        settings=lambda wildcards: canonical(study.extractor(wildcards.extractor)),
        images=lambda wildcards: study.image_option(wildcards.dataset),
    shell:
        "python -m zslpipe extract --index {input.index} --settings {params.settings:q}"
        " {params.images} --data-root {study.data_root:q} --output {output} --threads {threads}"
        " --compute {study.compute_json:q} --weights {input.weights:q}"


# Pooled features that the dataset's own .mat file holds.
rule store:
    input:
        lambda wildcards: study.source_files(wildcards.dataset),
        index="results/{dataset}/index.h5",
    output:
        "results/{dataset}/features/{extractor}.h5",
    wildcard_constraints:
        extractor=plan.alternatives(study.stored_extractors),
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=16000,
        runtime=20,
    params:
        settings=lambda wildcards: canonical(study.source(wildcards.dataset)),
        code=code_hash("zslpipe.datasets.adapters.xlsa17"),
    shell:
        "python -m zslpipe store --index {input.index} --settings {params.settings:q}"
        " --data-root {study.data_root:q} --output {output}"
