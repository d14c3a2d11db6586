# Where methods look: maps of some images for the pictures, peaks of all test images against
# annotated parts.


# As a training's, maps stay until there are others: what is made of the same is not made again.
rule attend:
    input:
        unpack(study.runs.inputs),
        weights=paths.weights,
    output:
        maps=update(paths.attention),
        done=paths.done("attention"),
    benchmark:
        paths.measured("attend")
    wildcard_constraints:
        run=alternatives(study.runs.light),
    conda:
        "../../envs/torch.yaml"
    threads: study.runs.threads
    resources:
        gpu=study.gpu,
        mem_mb=study.resources.training,
        runtime=study.resources.scoring_minutes,
    params:
        pictures=PICTURED_IMAGES,
        code=lambda wildcards: study.runs.code(wildcards, "attend"),
        reads=study.runs.options,
        run=study.results.asked,
    shell:
        "ZSLPIPE_LOG=results/logs/attend/{wildcards.dataset}/{wildcards.run}/seed{wildcards.seed}.log"
        " python -m zslpipe attend --weights {input.weights} --seed {wildcards.seed} {params.reads}"
        " --run {params.run:q} --data-root {study.data_root:q} --count {params.pictures}"
        " --output {output.maps} --threads {threads} --compute {study.compute_json:q}"
        " && touch {output.done}"


# A rule of its own, as of trainings: a cluster's profile groups jobs by their rules.
use rule attend as attend_end_to_end with:
    wildcard_constraints:
        run=alternatives(study.runs.end_to_end),


# Numbers: how often a peak lies on the part that the attribute is about; of a dataset's runs in one
# job.
for located in study.localizations.of_datasets:

    rule:
        name:
            located.name
        input:
            study.datasets.drawn_images(located.dataset),
            attention=located.attention,
            index=paths.index.format(dataset=located.dataset),
        output:
            located.files,
        benchmark:
            paths.measured("localize", located.dataset)
        localrule: True
        conda:
            "../../envs/numpy.yaml"
        resources:
            mem_mb=8000,
            runtime=60,
        params:
            images=lambda wildcards, located=located: study.datasets.image_option(located.dataset),
            code=code_hash("zslpipe.commands.together:localize_runs"),
            runs=located.asked,
        shell:
            "python -m zslpipe localize-runs --index {input.index} {params.images}"
            " --data-root {study.data_root:q} --runs {params.runs:q} {input.attention}"


rule localization_tables:
    input:
        study.targets.localizations(),
    output:
        report(
            f"{paths.tables}/localization.csv",
            caption="../report/localization.rst",
            category="Tables",
        ),
        f"{paths.tables}/localization.md",
        f"{paths.tables}/localization.tex",
        f"{paths.tables}/localization.parts.md",
        f"{paths.tables}/localization.parts.tex",
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        folder=subpath(output[0], parent=True),
        code=code_hash("zslpipe.commands.reports:make_localization_tables"),
    shell:
        "python -m zslpipe localization-tables --output {params.folder} {input}"


# Pictures, of the first seed.
rule maps:
    input:
        lambda wildcards: study.datasets.drawn_images(wildcards.dataset),
        attention=study.runs.of_first_seed(paths.attention),
        index=paths.index,
    output:
        report(
            f"{paths.figure}maps.{SCREEN}",
            caption="../report/maps.rst",
            category="Figures",
            labels=study.paths.labels("attention maps"),
        ),
        f"{paths.figure}maps.{PAPER}",
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        command="maps",
        stem=f"{paths.figure}maps",
        images=lambda wildcards: study.datasets.image_option(wildcards.dataset),
        code=code_hash("zslpipe.commands.reports:draw_maps"),
        run=study.results.asked_of_first_seed,
    shell:
        "python -m zslpipe {params.command} --attention {input.attention} --index {input.index}"
        " {params.images} --data-root {study.data_root:q} --output {params.stem}"
        " --run {params.run:q}"


use rule maps as parts with:
    output:
        report(
            f"{paths.figure}parts.{SCREEN}",
            caption="../report/parts.rst",
            category="Figures",
            labels=study.paths.labels("body parts"),
        ),
        f"{paths.figure}parts.{PAPER}",
    params:
        command="parts",
        stem=f"{paths.figure}parts",
        images=lambda wildcards: study.datasets.image_option(wildcards.dataset),
        code=code_hash("zslpipe.commands.reports:draw_parts"),
        run=study.results.asked_of_first_seed,


use rule maps as channels with:
    output:
        report(
            f"{paths.figure}channels.{SCREEN}",
            caption="../report/channels.rst",
            category="Figures",
            labels=study.paths.labels("groups of channels"),
        ),
        f"{paths.figure}channels.{PAPER}",
    params:
        command="channels",
        stem=f"{paths.figure}channels",
        images=lambda wildcards: study.datasets.image_option(wildcards.dataset),
        code=code_hash("zslpipe.commands.reports:draw_channels"),
        run=study.results.asked_of_first_seed,
