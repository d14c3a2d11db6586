# All of it on one page. Studies are made on request and shown where they exist.
rule page:
    input:
        drawn=study.page.drawn,
        files=study.page.files,
    output:
        paths.page,
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=8000,
        runtime=20,
    params:
        code=code_hash("zslpipe.commands.page:write_report"),
        # Functions: texts of a configuration may hold braces, which are no wildcards.
        configuration=lambda wildcards: study.page.configuration,
        images=lambda wildcards: study.page.images,
        studies=lambda wildcards: study.page.studies,
    shell:
        "python -m zslpipe report --configuration {params.configuration:q}"
        " --images {params.images:q} --data-root {study.data_root:q}"
        " --benchmarks {study.paths.benchmarks} --studies {study.paths.studies} --output {output}"
        " {input.files}"
