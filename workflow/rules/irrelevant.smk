# What a rebalancing learns from: scores on the validation problem, and of task-irrelevant images.


# The method once more, trained as if the validation classes were the unseen ones: what a
# rebalancing is chosen on. As a training's, its scores stay until there are others.
rule validate:
    input:
        unpack(study.runs.inputs),
        weights=paths.weights,
    output:
        scores=update(paths.validation),
        done=paths.done("validation"),
    benchmark:
        paths.measured("validate")
    wildcard_constraints:
        run=alternatives(study.runs.light),
    conda:
        "../../envs/torch.yaml"
    threads: study.runs.threads
    resources:
        gpu=study.gpu,
        mem_mb=study.resources.training,
        runtime=study.resources.training_minutes,
    params:
        code=lambda wildcards: study.runs.code(wildcards, "validate"),
        run=study.results.asked,
        reads=study.runs.options,
    shell:
        "ZSLPIPE_LOG=results/logs/validate/{wildcards.dataset}/{wildcards.run}/seed{wildcards.seed}.log"
        " python -m zslpipe validate --weights {input.weights} --seed {wildcards.seed} {params.reads}"
        " --run {params.run:q}"
        " --data-root {study.data_root:q} --output {output.scores} --threads {threads}"
        " --compute {study.compute_json:q} && touch {output.done}"


use rule validate as validate_end_to_end with:
    wildcard_constraints:
        run=alternatives(study.runs.end_to_end),


# Task-irrelevant images: a list, features, scores.
rule list_irrelevant:
    input:
        lambda wildcards: study.datasets.irrelevant_pictures(wildcards.irrelevant),
    output:
        paths.irrelevant_list,
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        settings=lambda wildcards: canonical(
            study.datasets.irrelevant_settings(wildcards.irrelevant)
        ),
        folder=lambda wildcards: study.datasets.irrelevant_folder(wildcards.irrelevant),
        code=code_hash("zslpipe.commands.datasets:list_irrelevant"),
        watched=lambda wildcards: study.datasets.irrelevant_watched(wildcards.irrelevant),
    shell:
        "python -m zslpipe list-irrelevant --settings {params.settings:q}"
        " --data-root {params.folder:q} --output {output}"


# Rewritten whenever the list is: before the features are deleted, see specify_features.
rule specify_irrelevant:
    input:
        lambda wildcards: study.datasets.irrelevant_list(wildcards.dataset),
    output:
        paths.irrelevant_settings,
    wildcard_constraints:
        extractor=alternatives(study.extractors.computed),
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    params:
        settings=lambda wildcards: canonical(study.extractors.settings(wildcards.extractor)),
        version=lambda wildcards: study.extractors.version(wildcards.extractor),
        features=paths.irrelevant_features,
        earlier=paths.earlier_irrelevant,
    shell:
        "if [ -f {params.features:q} ]; then"
        " ln -f {params.features:q} {params.earlier:q} 2> /dev/null || true; fi;"
        " printf '%s\\n' {params.settings:q} > {output}"


rule extract_irrelevant:
    input:
        paths.irrelevant_settings,
        weights=lambda wildcards: watched(
            study.extractors.weights_file(wildcards.dataset, wildcards.extractor)
        ),
        index=lambda wildcards: study.datasets.irrelevant_list(wildcards.dataset),
    output:
        paths.irrelevant_features,
    benchmark:
        paths.measured("extract_irrelevant", "{dataset}/{extractor}")
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
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        settings=lambda wildcards: canonical(study.extractors.settings(wildcards.extractor)),
        images=lambda wildcards: study.datasets.irrelevant_images(wildcards.dataset),
        folder=lambda wildcards: study.datasets.irrelevant_root(wildcards.dataset),
    shell:
        "python -m zslpipe extract-irrelevant --index {input.index} --settings {params.settings:q}"
        " --images {params.images:q} --data-root {params.folder:q} --output {output}"
        " --threads {threads} --compute {study.compute_json:q} --weights {input.weights:q}"


rule score_irrelevant:
    input:
        unpack(study.runs.irrelevant_inputs),
        weights=paths.weights,
    output:
        scores=update(paths.irrelevant),
        done=paths.done("irrelevant"),
    benchmark:
        paths.measured("score_irrelevant")
    wildcard_constraints:
        run=alternatives(study.runs.light),
    conda:
        "../../envs/torch.yaml"
    resources:
        gpu=study.gpu,
        mem_mb=study.resources.irrelevant,
        runtime=study.resources.scoring_minutes,
    params:
        code=lambda wildcards: study.runs.code(wildcards, "score_irrelevant"),
        run=study.results.asked,
        reads=study.runs.irrelevant_options,
        folder=lambda wildcards: study.datasets.irrelevant_root(wildcards.dataset),
    shell:
        "ZSLPIPE_LOG=results/logs/score_irrelevant/{wildcards.dataset}/{wildcards.run}/seed{wildcards.seed}.log"
        " python -m zslpipe score-irrelevant --weights {input.weights} --seed {wildcards.seed}"
        " --run {params.run:q}"
        " {params.reads} --data-root {params.folder:q} --output {output.scores}"
        " --threads {threads} --compute {study.compute_json:q} && touch {output.done}"


use rule score_irrelevant as score_irrelevant_end_to_end with:
    wildcard_constraints:
        run=alternatives(study.runs.end_to_end),
