# Where methods look: maps of some images for the pictures, peaks of all test images against annotated parts.


rule attend:
    input:
        lambda wildcards: study.drawn_images(wildcards),
        lambda wildcards: study.trunk_weights(wildcards),
        lambda wildcards: study.features(wildcards),
        weights="results/{dataset}/runs/{run}/seed{seed}/weights.pt",
        index="results/{dataset}/index.h5",
        words=lambda wildcards: study.words(wildcards),
    output:
        "results/{dataset}/runs/{run}/seed{seed}/attention.h5",
    conda:
        "../../envs/torch.yaml"
    threads: lambda wildcards: study.compute["threads" if study.features(wildcards) else "image_threads"]
    resources:
        gpu=study.gpu,
        mem_mb=16000,
        runtime=60,
    params:
        pictures=plan.PICTURED_IMAGES,
        code=code_hash("zslpipe.runs.attention"),
        source=lambda wildcards: study.source_options(wildcards),
        words=lambda wildcards, input: f"--words {input.words}" if input.words else "",
    shell:
        "python -m zslpipe attend --weights {input.weights} --seed {wildcards.seed} --index {input.index}"
        " {params.source} --data-root {study.data_root:q} {params.words} --count {params.pictures} --output {output}"
        " --threads {threads} --compute {study.compute_json:q}"


# Numbers: how often a peak lies on the part that the attribute is about.
rule localize:
    input:
        lambda wildcards: study.image_input(wildcards.dataset),
        attention="results/{dataset}/runs/{run}/seed{seed}/attention.h5",
        index="results/{dataset}/index.h5",
    output:
        "results/{dataset}/runs/{run}/seed{seed}/localization.json",
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=8000,
        runtime=20,
    params:
        images=lambda wildcards: study.image_option(wildcards.dataset),
        code=code_hash("zslpipe.maps.localization"),
    shell:
        "python -m zslpipe localize --attention {input.attention} --index {input.index} {params.images}"
        " --data-root {study.data_root:q} --output {output}"


rule localization_tables:
    input:
        study.localizations,
    output:
        report(
            "results/tables/localization.csv",
            caption="../report/localization.rst",
            category="Tables",
        ),
        "results/tables/localization.md",
        "results/tables/localization.tex",
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code_hash("zslpipe.reports.tables.localization"),
    shell:
        "python -m zslpipe localization-tables --output results/tables {input}"


# Pictures, of the first seed.
rule maps:
    input:
        lambda wildcards: study.image_input(wildcards.dataset),
        attention=expand(
            "results/{{dataset}}/runs/{{method}}/{{variant}}/seed{seed}/attention.h5",
            seed=study.config["seeds"][0],
        ),
        index="results/{dataset}/index.h5",
    output:
        report(
            "results/figures/{dataset}.{method}.{variant}.maps.png",
            caption="../report/maps.rst",
            category="Figures",
            labels={
                "dataset": "{dataset}",
                "method": "{method} ({variant})",
                "figure": "attention maps",
            },
        ),
        "results/figures/{dataset}.{method}.{variant}.maps.svg",
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        command="maps",
        stem="results/figures/{dataset}.{method}.{variant}.maps",
        images=lambda wildcards: study.image_option(wildcards.dataset),
        code=code_hash("zslpipe.reports.figures.attributes"),
    shell:
        "python -m zslpipe {params.command} --attention {input.attention} --index {input.index} {params.images}"
        " --data-root {study.data_root:q} --output {params.stem}"


use rule maps as parts with:
    output:
        report(
            "results/figures/{dataset}.{method}.{variant}.parts.png",
            caption="../report/parts.rst",
            category="Figures",
            labels={
                "dataset": "{dataset}",
                "method": "{method} ({variant})",
                "figure": "body parts",
            },
        ),
        "results/figures/{dataset}.{method}.{variant}.parts.svg",
    params:
        command="parts",
        stem="results/figures/{dataset}.{method}.{variant}.parts",
        images=lambda wildcards: study.image_option(wildcards.dataset),
        code=code_hash("zslpipe.reports.figures.body_parts"),


use rule maps as channels with:
    output:
        report(
            "results/figures/{dataset}.{method}.{variant}.channels.png",
            caption="../report/channels.rst",
            category="Figures",
            labels={
                "dataset": "{dataset}",
                "method": "{method} ({variant})",
                "figure": "groups of channels",
            },
        ),
        "results/figures/{dataset}.{method}.{variant}.channels.svg",
    params:
        command="channels",
        stem="results/figures/{dataset}.{method}.{variant}.channels",
        images=lambda wildcards: study.image_option(wildcards.dataset),
        code=code_hash("zslpipe.reports.figures.channels"),
