# Studies: tables and figures of the papers, and curves of one's own, each by its name. Their runs
# are trained by the rules that train all others; `rule all` asks for none of them.


# All of them.
rule studies:
    input:
        [study.studies.made(name) for name in study.studies.all],
    localrule: True


for study_name in study.studies.all:

    rule:
        name:
            f"study_{study_name}"
        input:
            study.studies.made(study_name),
        localrule: True


# As the rule evaluate, of the results of a study.
rule evaluate_study:
    input:
        unpack(study.studies.evaluated_files),
    output:
        paths.study_evaluated,
    wildcard_constraints:
        study=alternatives(study.studies.tabled),
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=8000,
        runtime=30,
    params:
        code=code_hash("zslpipe.commands.together:reevaluate"),
        runs=study.studies.tabled_asked,
    shell:
        "python -m zslpipe reevaluate --runs {params.runs:q} --output {output} {input.scores}"


rule tabulate_study:
    input:
        evaluated=study.studies.evaluated,
        rows=lambda wildcards: listed(
            study.studies.measured(wildcards.study),
            lambda name: workflow.persistence.metadata(IOFile(name)),
        ),
    output:
        f"{paths.study}.csv",
        f"{paths.study}.md",
        f"{paths.study}.tex",
    wildcard_constraints:
        study=alternatives(study.studies.tabled),
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        stem=paths.study,
        code=code_hash("zslpipe.commands.studies:make_study_table"),
        layout=study.studies.layout,
        runs=study.studies.tabled_asked,
    shell:
        "python -m zslpipe study-table --layout {params.layout:q} --runs {params.runs:q}"
        " --output {params.stem} {input.rows}"


# Tables of the datasets' sizes: of all datasets that are configured.
rule tabulate_sizes:
    input:
        study.studies.indices(),
    output:
        f"{paths.study}.csv",
        f"{paths.study}.md",
        f"{paths.study}.tex",
    wildcard_constraints:
        study=alternatives(study.studies.sizes),
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        stem=paths.study,
        code=code_hash("zslpipe.commands.studies:make_sizes"),
        layout=study.studies.layout,
    shell:
        "python -m zslpipe study-sizes --layout {params.layout:q} --output {params.stem} {input}"


rule draw_study:
    input:
        evaluated=study.studies.evaluated,
        files=study.studies.drawn_from,
    output:
        multiext(paths.study, *[f".{suffix}" for suffix in FIGURE_SUFFIXES]),
    wildcard_constraints:
        study=alternatives(study.studies.drawn),
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        stem=paths.study,
        code=code_hash("zslpipe.commands.studies:draw_study"),
        layout=study.studies.layout,
        runs=study.studies.drawn_asked,
    shell:
        "python -m zslpipe study-plot --layout {params.layout:q} --runs {params.runs:q}"
        " --output {params.stem} {input.files}"
