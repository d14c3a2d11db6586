# Rebalancing seen against unseen scores, and ensembles: score matrices in, score matrices out, any
# method's.


rule ensemble:
    input:
        unpack(study.ensembles.member_files),
    output:
        paths.ensemble,
    wildcard_constraints:
        ensemble=alternatives(study.results.ensembles),
        file="scores|validation|irrelevant",
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=study.resources.scores,
        runtime=10,
    params:
        code=code_hash("zslpipe.commands.scores:ensemble"),
        runs=study.ensembles.members_asked,
        kind="{file}",
        options=study.ensembles.options,
    shell:
        "python -m zslpipe ensemble --name {wildcards.ensemble} --kind {params.kind}"
        " {params.options} --runs {params.runs:q} --output {output} {input.members}"


# The other order, the paper's figure 6: members are rebalanced, then averaged.
use rule ensemble as ensemble_of_rebalanced with:
    input:
        unpack(study.ensembles.rebalanced_member_files),
    output:
        paths.rebalanced_ensemble,
    wildcard_constraints:
        ensemble=alternatives(study.results.rebalanced_first),
        rebalancing=alternatives(study.results.kinds),
    params:
        code=code_hash("zslpipe.commands.scores:ensemble"),
        runs=study.ensembles.rebalanced_members_asked,
        kind="scores",
        options=study.ensembles.options,


ruleorder: ensemble_of_rebalanced > rebalance


rule rebalance:
    input:
        unpack(study.results.needed),
        scores=paths.scores,
    output:
        paths.rebalanced_scores,
    benchmark:
        paths.measured("rebalance", "{dataset}/{run}/{rebalancing}/seed{seed}")
    wildcard_constraints:
        rebalancing=alternatives(study.results.kinds),
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=study.resources.scores,
        runtime=20,
    params:
        settings=study.results.settings,
        needed=study.results.needed_options,
        code=code_hash("zslpipe.commands.scores:rebalance"),
        run=study.results.asked,
    shell:
        "python -m zslpipe rebalance --kind {wildcards.rebalancing} --scores {input.scores}"
        " {params.needed} --settings {params.settings:q} --run {params.run:q} --output {output}"


use rule evaluate as evaluate_rebalanced with:
    input:
        paths.rebalanced_scores,
    output:
        paths.rebalanced_metrics,
    params:
        code=code_hash("zslpipe.commands.scores:evaluate"),
        run=study.results.asked_rebalanced,


# What the discriminator changes, in pictures.
rule predictions:
    input:
        lambda wildcards: study.datasets.drawn_images(wildcards.dataset),
        scores=study.runs.of_first_seed(paths.scores),
        rebalanced=study.runs.of_first_seed(paths.rebalanced_scores, "discriminator"),
        index=paths.index,
    output:
        report(
            f"{paths.figure}predictions.{SCREEN}",
            caption="../report/predictions.rst",
            category="Figures",
            labels=study.paths.labels("before and after R"),
        ),
        f"{paths.figure}predictions.{PAPER}",
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        stem=f"{paths.figure}predictions",
        images=lambda wildcards: study.datasets.image_option(wildcards.dataset),
        code=code_hash("zslpipe.commands.reports:draw_predictions"),
        runs=lambda wildcards: study.results.before_and_after(wildcards, "discriminator"),
    shell:
        "python -m zslpipe predictions --scores {input.scores} --rebalanced {input.rebalanced}"
        " --index {input.index} {params.images} --data-root {study.data_root:q}"
        " --runs {params.runs:q} --output {params.stem}"
