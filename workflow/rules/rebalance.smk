# Rebalancing seen against unseen scores, and ensembles: score matrices in, score matrices out, any method's.


rule ensemble:
    input:
        lambda wildcards: combinations.member_files(wildcards),
    output:
        "results/{dataset}/runs/{ensemble}/default/seed{seed}/{file}.h5",
    wildcard_constraints:
        ensemble=plan.alternatives(study.config["ensembles"]),
        file="scores|validation|irrelevant",
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=8000,
        runtime=10,
    params:
        code=code_hash("zslpipe.scores.ensembles"),
    shell:
        "python -m zslpipe ensemble --name {wildcards.ensemble} --kind {wildcards.file} --output {output} {input}"


rule rebalance:
    input:
        unpack(lambda wildcards: combinations.needed(wildcards)),
        scores="results/{dataset}/runs/{run}/seed{seed}/scores.h5",
    output:
        "results/{dataset}/runs/{run}/seed{seed}/{rebalancing}/scores.h5",
    wildcard_constraints:
        rebalancing="calibrated_stacking|cosmo|discriminator|oracle",
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=8000,
        runtime=20,
    params:
        settings=lambda wildcards: combinations.settings(wildcards),
        needed=lambda wildcards: " ".join(
            f"--{name} {path}" for name, path in combinations.needed(wildcards).items()
        ),
        code=code_hash("zslpipe.scores.rebalancing"),
    shell:
        "python -m zslpipe rebalance --kind {wildcards.rebalancing} --scores {input.scores} {params.needed}"
        " --settings {params.settings:q} --output {output}"


use rule evaluate as evaluate_rebalanced with:
    input:
        "results/{dataset}/runs/{run}/seed{seed}/{rebalancing}/scores.h5",
    output:
        "results/{dataset}/runs/{run}/seed{seed}/{rebalancing}/metrics.json",


# What the discriminator changes, in pictures.
rule predictions:
    input:
        lambda wildcards: study.image_input(wildcards.dataset),
        scores=expand(
            "results/{{dataset}}/runs/{{method}}/{{variant}}/seed{seed}/scores.h5",
            seed=study.config["seeds"][0],
        ),
        rebalanced=expand(
            "results/{{dataset}}/runs/{{method}}/{{variant}}/seed{seed}/discriminator/scores.h5",
            seed=study.config["seeds"][0],
        ),
        index="results/{dataset}/index.h5",
    output:
        report(
            "results/figures/{dataset}.{method}.{variant}.predictions.png",
            caption="../report/predictions.rst",
            category="Figures",
            labels={
                "dataset": "{dataset}",
                "method": "{method} ({variant})",
                "figure": "before and after R",
            },
        ),
        "results/figures/{dataset}.{method}.{variant}.predictions.svg",
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        stem="results/figures/{dataset}.{method}.{variant}.predictions",
        images=lambda wildcards: study.image_option(wildcards.dataset),
        code=code_hash("zslpipe.reports.figures.predictions"),
    shell:
        "python -m zslpipe predictions --scores {input.scores} --rebalanced {input.rebalanced} --index {input.index}"
        " {params.images} --data-root {study.data_root:q} --output {params.stem}"
