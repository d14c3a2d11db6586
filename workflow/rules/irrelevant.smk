# What a rebalancing learns from: scores on the validation problem, and of task-irrelevant images.


# The method once more, trained as if the validation classes were the unseen ones: what a rebalancing is chosen on.
rule validate:
    input:
        lambda wildcards: study.drawn_images(wildcards),
        lambda wildcards: study.trunk_weights(wildcards),
        lambda wildcards: study.features(wildcards),
        weights="results/{dataset}/runs/{run}/seed{seed}/weights.pt",
        index="results/{dataset}/index.h5",
        words=lambda wildcards: study.words(wildcards),
    output:
        "results/{dataset}/runs/{run}/seed{seed}/validation.h5",
    wildcard_constraints:
        run=plan.alternatives(study.light_runs + study.end_to_end_runs),
    conda:
        "../../envs/torch.yaml"
    threads: lambda wildcards: study.compute["threads" if study.features(wildcards) else "image_threads"]
    resources:
        gpu=study.gpu,
        mem_mb=32000,
        runtime=lambda wildcards: 240 if study.features(wildcards) else 1440,
    params:
        code=code_hash("zslpipe.runs.rebalancing_inputs"),
        source=lambda wildcards: study.source_options(wildcards),
        words=lambda wildcards, input: f"--words {input.words}" if input.words else "",
    shell:
        "python -m zslpipe validate --weights {input.weights} --seed {wildcards.seed} --index {input.index}"
        " {params.source} --data-root {study.data_root:q} {params.words} --output {output}"
        " --threads {threads} --compute {study.compute_json:q}"


# Task-irrelevant images: a list, features, scores.
rule list_irrelevant:
    input:
        lambda wildcards: combinations.irrelevant_input(wildcards.irrelevant),
    output:
        "results/irrelevant/{irrelevant}.h5",
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        settings=lambda wildcards: canonical(combinations.irrelevant_settings(wildcards.irrelevant)),
        folder=lambda wildcards: combinations.irrelevant_folder(wildcards.irrelevant),
        code=code_hash("zslpipe.datasets.irrelevant_images"),
    shell:
        "python -m zslpipe list-irrelevant --settings {params.settings:q} --data-root {params.folder:q} --output {output}"


rule extract_irrelevant:
    input:
        weights=lambda wildcards: study.weights_file(wildcards.dataset, wildcards.extractor),
        index=lambda wildcards: combinations.irrelevant_list(wildcards.dataset),
    output:
        "results/{dataset}/features/{extractor}.irrelevant.h5",
    wildcard_constraints:
        extractor=plan.alternatives(study.computed_extractors),
    conda:
        "../../envs/torch.yaml"
    threads: study.compute["extract_threads"]
    resources:
        gpu=study.gpu,
        mem_mb=16000,
        runtime=120,
    params:
        settings=lambda wildcards: canonical(study.extractor(wildcards.extractor)),
        images=lambda wildcards: combinations.irrelevant_images(wildcards.dataset),
        folder=lambda wildcards: combinations.irrelevant_root(wildcards.dataset),
    shell:
        "python -m zslpipe extract-irrelevant --index {input.index} --settings {params.settings:q}"
        " --images {params.images:q} --data-root {params.folder:q} --output {output} --threads {threads}"
        " --compute {study.compute_json:q} --weights {input.weights:q}"


rule score_irrelevant:
    input:
        lambda wildcards: study.trunk_weights(wildcards),
        lambda wildcards: combinations.irrelevant_features(wildcards),
        weights="results/{dataset}/runs/{run}/seed{seed}/weights.pt",
        index="results/{dataset}/index.h5",
        images=lambda wildcards: combinations.irrelevant_list(wildcards.dataset),
        words=lambda wildcards: study.words(wildcards),
    output:
        "results/{dataset}/runs/{run}/seed{seed}/irrelevant.h5",
    wildcard_constraints:
        run=plan.alternatives(study.light_runs + study.end_to_end_runs),
    conda:
        "../../envs/torch.yaml"
    resources:
        gpu=study.gpu,
        mem_mb=16000,
        runtime=60,
    params:
        code=code_hash("zslpipe.runs.rebalancing_inputs"),
        source=lambda wildcards: combinations.irrelevant_source(wildcards),
        folder=lambda wildcards: combinations.irrelevant_root(wildcards.dataset),
        words=lambda wildcards, input: f"--words {input.words}" if input.words else "",
    shell:
        "python -m zslpipe score-irrelevant --weights {input.weights} --seed {wildcards.seed} --index {input.index}"
        " --irrelevant {input.images} {params.source} --data-root {params.folder:q} {params.words} --output {output}"
        " --threads {threads} --compute {study.compute_json:q}"
