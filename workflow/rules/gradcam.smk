# Grad-CAM of crafted networks, with an attribute taken away from the classifier's rule.


rule gradcam:
    input:
        unpack(study.runs.inputs),
        weights=paths.weights,
    output:
        maps=update(paths.gradcam),
        done=paths.done("gradcam"),
    benchmark:
        paths.measured("gradcam")
    wildcard_constraints:
        run=alternatives(study.runs.end_to_end),
    conda:
        "../../envs/torch.yaml"
    threads: study.compute["image_threads"]
    resources:
        gpu=study.gpu,
        mem_mb=study.resources.training,
        runtime=study.resources.scoring_minutes,
    params:
        pictures=PICTURED_IMAGES,
        code=lambda wildcards: study.runs.code(wildcards, "grad_cam"),
        reads=study.runs.options,
        run=study.results.asked,
        without=lambda wildcards: study.datasets.removed_option(wildcards.dataset),
    shell:
        "ZSLPIPE_LOG=results/logs/gradcam/{wildcards.dataset}/{wildcards.run}/seed{wildcards.seed}.log"
        " python -m zslpipe grad-cam --weights {input.weights} --seed {wildcards.seed} {params.reads}"
        " {params.without} --data-root {study.data_root:q} --count {params.pictures}"
        " --output {output.maps} --run {params.run:q}"
        " --threads {threads} --compute {study.compute_json:q} && touch {output.done}"


rule gradcam_figure:
    input:
        lambda wildcards: study.datasets.drawn_images(wildcards.dataset),
        gradcam=study.runs.of_first_seed(paths.gradcam),
        index=paths.index,
    output:
        report(
            f"{paths.figure}gradcam.{SCREEN}",
            caption="../report/gradcam.rst",
            category="Figures",
            labels=study.paths.labels("Grad-CAM"),
        ),
        f"{paths.figure}gradcam.{PAPER}",
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=4000,
        runtime=10,
    params:
        stem=f"{paths.figure}gradcam",
        images=lambda wildcards: study.datasets.image_option(wildcards.dataset),
        code=code_hash("zslpipe.commands.reports:draw_grad_cam"),
        run=study.results.asked_of_first_seed,
    shell:
        "python -m zslpipe grad-cam-figure --gradcam {input.gradcam} --index {input.index}"
        " {params.images} --data-root {study.data_root:q} --output {params.stem}"
        " --run {params.run:q}"
