# Ensembles: score matrices in, one score matrix out, any method's.


# With what its rebalancings learn from, in one job.
for made in study.ensembles.together:

    rule:
        name:
            made.name
        input:
            unpack(study.ensembles.members_with(made.further)),
        output:
            scores=paths.ensemble_scores,
            metrics=paths.ensemble_metrics,
            further=made.files,
        wildcard_constraints:
            dataset=alternatives(made.datasets),
            ensemble=alternatives(made.ensembles),
        localrule: True
        conda:
            "../../envs/numpy.yaml"
        resources:
            mem_mb=8000,
            runtime=30,
        params:
            code=code_hash("zslpipe.commands.scores:ensemble", without=EVALUATION),
            runs=study.ensembles.members_asked,
            also=made.options,
            options=study.ensembles.options,
        shell:
            "python -m zslpipe ensemble --name {wildcards.ensemble} --kind scores {params.also}"
            " {params.options} --runs {params.runs:q} --output {output.scores}"
            " --metrics {output.metrics} {input.members}"


# Those of studies alone.
rule ensemble_for_study:
    input:
        unpack(study.ensembles.member_scores),
    output:
        scores=paths.ensemble_scores,
        metrics=paths.ensemble_metrics,
    wildcard_constraints:
        ensemble=alternatives(study.results.ensembles),
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=study.resources.scores,
        runtime=10,
    params:
        code=code_hash("zslpipe.commands.scores:ensemble", without=EVALUATION),
        runs=study.ensembles.members_asked,
        kind="scores",
        options=study.ensembles.options,
        metrics=lambda wildcards, output: f"--metrics {output.metrics}",
    shell:
        "python -m zslpipe ensemble --name {wildcards.ensemble} --kind {params.kind}"
        " {params.options} --runs {params.runs:q} --output {output.scores} {params.metrics}"
        " {input.members}"


use rule ensemble_for_study as ensemble_further_for_study with:
    input:
        unpack(study.ensembles.member_files),
    output:
        scores=paths.ensemble,
    wildcard_constraints:
        ensemble=alternatives(study.results.ensembles),
        file="validation|irrelevant",
    params:
        code=code_hash("zslpipe.commands.scores:ensemble", without=EVALUATION),
        runs=study.ensembles.members_asked,
        kind="{file}",
        options=study.ensembles.options,
        metrics="",


# The other order, the paper's figure 6: members are rebalanced, then averaged.
use rule ensemble_for_study as ensemble_of_rebalanced with:
    input:
        unpack(study.ensembles.rebalanced_member_files),
    output:
        scores=paths.rebalanced_ensemble,
        metrics=paths.rebalanced_ensemble_metrics,
    wildcard_constraints:
        ensemble=alternatives(study.results.rebalanced_first),
        rebalancing=alternatives(study.results.kinds),
    params:
        code=code_hash("zslpipe.commands.scores:ensemble", without=EVALUATION),
        runs=study.ensembles.rebalanced_members_asked,
        kind="scores",
        options=study.ensembles.options,
        metrics=lambda wildcards, output: f"--metrics {output.metrics}",


workflow.ruleorder(
    *[made.name for made in study.ensembles.together],
    "ensemble_for_study",
)
workflow.ruleorder(
    *[made.name for made in study.ensembles.together],
    "ensemble_further_for_study",
)
