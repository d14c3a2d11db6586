# Tables and figures: from score matrices and histories alone.


rule tables:
    input:
        evaluated=study.evaluation.all,
        rows=lambda wildcards: made_here(
            study.results, lambda name: workflow.persistence.metadata(IOFile(name))
        ),
    output:
        report(f"{paths.tables}/main.csv", caption="../report/table.rst", category="Tables"),
        f"{paths.tables}/main.md",
        f"{paths.tables}/main.tex",
        f"{paths.tables}/main.intervals.md",
        f"{paths.tables}/main.intervals.tex",
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        folder=subpath(output[0], parent=True),
        code=code_hash("zslpipe.commands.reports:make_tables"),
        runs=study.results.tabled_asked,
    shell:
        "python -m zslpipe tables --runs {params.runs:q} --output {params.folder} {input.rows}"


# Only where three datasets or more have three results or more in common.
rule ranking:
    input:
        evaluated=study.evaluation.all,
        rows=lambda wildcards: study.targets.ranked(),
    output:
        report(f"{paths.tables}/ranking.csv", caption="../report/ranking.rst", category="Tables"),
        f"{paths.tables}/ranking.md",
        f"{paths.tables}/ranking.tex",
        report(
            f"{paths.ranking_figure}.{SCREEN}",
            caption="../report/ranking.rst",
            category="Figures",
            labels={"dataset": "all", "method": "all", "figure": "ranks over datasets"},
        ),
        f"{paths.ranking_figure}.{PAPER}",
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        folder=subpath(output[0], parent=True),
        stem=subpath(output[3], strip_suffix=f".{SCREEN}"),
        code=code_hash("zslpipe.commands.reports:make_ranking"),
        runs=study.results.metrics_asked,
    shell:
        "python -m zslpipe ranking --runs {params.runs:q} --output {params.folder}"
        " --figure {params.stem} {input.rows}"


rule curves:
    input:
        evaluated=study.evaluation.of_first_seed,
        rows=lambda wildcards: study.results.metrics_of_first_seed(wildcards.dataset),
    output:
        report(
            f"{paths.dataset_figure}curves.{SCREEN}",
            caption="../report/curves.rst",
            category="Figures",
            labels=study.paths.dataset_labels("seen/unseen curves"),
        ),
        f"{paths.dataset_figure}curves.{PAPER}",
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        command="curves",
        stem=f"{paths.dataset_figure}curves",
        code=code_hash("zslpipe.commands.reports:draw_curves"),
        runs=study.results.curves_asked,
    shell:
        "python -m zslpipe {params.command} --runs {params.runs:q} --output {params.stem}"
        " {input.rows}"


use rule curves as calibration with:
    output:
        report(
            f"{paths.dataset_figure}calibration.{SCREEN}",
            caption="../report/calibration.rst",
            category="Figures",
            labels=study.paths.dataset_labels("calibration"),
        ),
        f"{paths.dataset_figure}calibration.{PAPER}",
    params:
        command="calibration",
        stem=f"{paths.dataset_figure}calibration",
        code=code_hash("zslpipe.commands.reports:draw_calibration"),
        runs=study.results.curves_asked,


rule losses:
    input:
        study.runs.histories,
    output:
        report(
            f"{paths.figure}losses.{SCREEN}",
            caption="../report/losses.rst",
            category="Figures",
            labels=study.paths.labels("losses"),
        ),
        f"{paths.figure}losses.{PAPER}",
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        stem=f"{paths.figure}losses",
        code=code_hash("zslpipe.commands.reports:draw_losses"),
    shell:
        "python -m zslpipe losses --output {params.stem} {input}"


rule confusion:
    input:
        lambda wildcards: study.results.scores_of_first_seed(wildcards.dataset),
    output:
        report(
            f"{paths.dataset_figure}confusion.{SCREEN}",
            caption="../report/confusion.rst",
            category="Figures",
            labels=study.paths.dataset_labels("where an unseen class goes"),
        ),
        f"{paths.dataset_figure}confusion.{PAPER}",
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=8000,
        runtime=10,
    params:
        stem=f"{paths.dataset_figure}confusion",
        code=code_hash("zslpipe.commands.reports:draw_confusion"),
        runs=study.results.confusion_asked,
        chosen=lambda wildcards: study.datasets.confused_option(wildcards.dataset),
    shell:
        "python -m zslpipe confusion --runs {params.runs:q} {params.chosen}"
        " --output {params.stem} {input}"
