# Tables and figures: from score matrices and histories alone.


rule tables:
    input:
        study.metrics,
    output:
        report("results/tables/main.csv", caption="../report/table.rst", category="Tables"),
        "results/tables/main.md",
        "results/tables/main.tex",
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code_hash("zslpipe.tables"),
    shell:
        "python -m zslpipe tables --output results/tables {input}"


rule curves:
    input:
        lambda wildcards: study.metrics_of_first_seed(wildcards.dataset),
    output:
        report(
            "results/figures/{dataset}.curves.png",
            caption="../report/curves.rst",
            category="Figures",
            labels={"dataset": "{dataset}", "method": "all", "figure": "seen/unseen curves"},
        ),
        "results/figures/{dataset}.curves.svg",
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        stem="results/figures/{dataset}.curves",
        code=code_hash("zslpipe.curve_figures"),
    shell:
        "python -m zslpipe curves --output {params.stem} {input}"


rule losses:
    input:
        lambda wildcards: study.histories(wildcards),
    output:
        report(
            "results/figures/{dataset}.{method}.{variant}.losses.png",
            caption="../report/losses.rst",
            category="Figures",
            labels={"dataset": "{dataset}", "method": "{method} ({variant})", "figure": "losses"},
        ),
        "results/figures/{dataset}.{method}.{variant}.losses.svg",
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        stem="results/figures/{dataset}.{method}.{variant}.losses",
        code=code_hash("zslpipe.loss_figures"),
    shell:
        "python -m zslpipe losses --output {params.stem} {input}"


rule maps:
    input:
        lambda wildcards: study.image_input(wildcards.dataset),
        attention=expand(
            "results/{{dataset}}/runs/{{method}}/{{variant}}/seed{seed}/attention.h5", seed=study.config["seeds"][0]
        ),
        index="results/{dataset}/index.h5",
    output:
        report(
            "results/figures/{dataset}.{method}.{variant}.maps.png",
            caption="../report/maps.rst",
            category="Figures",
            labels={"dataset": "{dataset}", "method": "{method} ({variant})", "figure": "attention maps"},
        ),
        "results/figures/{dataset}.{method}.{variant}.maps.svg",
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        stem="results/figures/{dataset}.{method}.{variant}.maps",
        images=lambda wildcards: study.image_option(wildcards.dataset),
        code=code_hash("zslpipe.attention_figures"),
    shell:
        "python -m zslpipe maps --attention {input.attention} --index {input.index} {params.images}"
        " --data-root {study.data_root:q} --output {params.stem}"
