# Rebalancing seen against unseen scores: score matrices in, score matrices out, any method's.


# All rebalancings of a run, in one job; a kind whose settings and scores are what they were keeps
# what it has made (update, see the rule train).
for made in study.rebalancings.together:

    rule:
        name:
            made.name
        input:
            unpack(made.needed),
            scores=paths.scores,
        output:
            scores=[update(path) for path in made.each(paths.rebalanced_scores)],
            metrics=made.each(paths.rebalanced_metrics),
        benchmark:
            paths.measured("rebalance")
        wildcard_constraints:
            dataset=alternatives(made.datasets),
            run=alternatives(made.paths),
        localrule: True
        conda:
            "../../envs/numpy.yaml"
        resources:
            mem_mb=study.resources.scores,
            runtime=60,
        params:
            kinds=made.settings,
            needed=made.options,
            code=code_hash("zslpipe.commands.together:rebalance_run", without=EVALUATION),
            run=study.results.asked,
            folder=subpath(input.scores, parent=True),
        shell:
            "python -m zslpipe rebalance-run --kinds {params.kinds:q} --scores {input.scores}"
            " {params.needed} --run {params.run:q} --output {params.folder}"


# A kind that a study alone asks for.
rule rebalance_for_study:
    input:
        unpack(study.rebalancings.needed),
        scores=paths.scores,
    output:
        scores=paths.rebalanced_scores,
        metrics=paths.rebalanced_metrics,
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
        kinds=study.rebalancings.settings,
        needed=study.rebalancings.options,
        code=code_hash("zslpipe.commands.together:rebalance_run", without=EVALUATION),
        run=study.results.asked,
        folder=subpath(input.scores, parent=True),
    shell:
        "python -m zslpipe rebalance-run --kinds {params.kinds:q} --scores {input.scores}"
        " {params.needed} --run {params.run:q} --output {params.folder}"


workflow.ruleorder(
    "ensemble_of_rebalanced",
    *[made.name for made in study.rebalancings.together],
    "rebalance_for_study",
)


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
