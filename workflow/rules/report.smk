# Tables and figures: from score matrices and histories alone.


rule tables:
    input:
        combinations.metrics,
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
        code=code_hash("zslpipe.reports.tables.results"),
    shell:
        "python -m zslpipe tables --output results/tables {input}"


rule curves:
    input:
        lambda wildcards: combinations.metrics_of_first_seed(wildcards.dataset),
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
        code=code_hash("zslpipe.reports.figures.curves"),
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
        code=code_hash("zslpipe.reports.figures.losses"),
    shell:
        "python -m zslpipe losses --output {params.stem} {input}"


rule confusion:
    input:
        lambda wildcards: study.score_matrices_of_first_seed(wildcards.dataset),
    output:
        report(
            "results/figures/{dataset}.confusion.png",
            caption="../report/confusion.rst",
            category="Figures",
            labels={
                "dataset": "{dataset}",
                "method": "all",
                "figure": "where an unseen class goes",
            },
        ),
        "results/figures/{dataset}.confusion.svg",
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=8000,
        runtime=10,
    params:
        stem="results/figures/{dataset}.confusion",
        code=code_hash("zslpipe.reports.figures.confusions"),
    shell:
        "python -m zslpipe confusion --output {params.stem} {input}"
