# Grad-CAM of crafted networks, with an attribute taken away from the classifier's rule.


rule gradcam:
    input:
        lambda wildcards: study.drawn_images(wildcards),
        lambda wildcards: study.trunk_weights(wildcards),
        weights="results/{dataset}/runs/{run}/seed{seed}/weights.pt",
        index="results/{dataset}/index.h5",
    output:
        "results/{dataset}/runs/{run}/seed{seed}/gradcam.h5",
    wildcard_constraints:
        run=plan.alternatives(study.end_to_end_runs),
    conda:
        "../../envs/torch.yaml"
    threads: study.compute["image_threads"]
    resources:
        gpu=study.gpu,
        mem_mb=16000,
        runtime=30,
    params:
        pictures=plan.PICTURED_IMAGES,
        code=code_hash("zslpipe.runs.gradcam"),
        source=lambda wildcards: study.source_options(wildcards),
    shell:
        "python -m zslpipe grad-cam --weights {input.weights} --seed {wildcards.seed} --index {input.index}"
        " {params.source} --data-root {study.data_root:q} --count {params.pictures} --output {output}"
        " --threads {threads} --compute {study.compute_json:q}"


rule gradcam_figure:
    input:
        lambda wildcards: study.image_input(wildcards.dataset),
        gradcam=expand(
            "results/{{dataset}}/runs/{{method}}/{{variant}}/seed{seed}/gradcam.h5",
            seed=study.config["seeds"][0],
        ),
        index="results/{dataset}/index.h5",
    output:
        report(
            "results/figures/{dataset}.{method}.{variant}.gradcam.png",
            caption="../report/gradcam.rst",
            category="Figures",
            labels={
                "dataset": "{dataset}",
                "method": "{method} ({variant})",
                "figure": "Grad-CAM",
            },
        ),
        "results/figures/{dataset}.{method}.{variant}.gradcam.svg",
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        stem="results/figures/{dataset}.{method}.{variant}.gradcam",
        images=lambda wildcards: study.image_option(wildcards.dataset),
        code=code_hash("zslpipe.reports.figures.gradcam"),
    shell:
        "python -m zslpipe grad-cam-figure --gradcam {input.gradcam} --index {input.index} {params.images}"
        " --data-root {study.data_root:q} --output {params.stem}"
