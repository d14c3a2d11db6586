# Figures of a dataset's runs (losses, maps, Grad-CAM, predictions), in one job: each takes less than
# its own process would take to start. What is drawn of runs of studies alone has rules of its own.
for drawn in study.figures.of_datasets:

    rule:
        name:
            drawn.name
        input:
            study.datasets.drawn_images(drawn.dataset),
            drawn.files,
            index=paths.index.format(dataset=drawn.dataset),
        output:
            screen=[
                report(
                    figure.screen,
                    caption=f"../report/{figure.kind}.rst",
                    category="Figures",
                    labels=figure.labels,
                )
                for figure in drawn.figures
            ],
            paper=[figure.paper for figure in drawn.figures],
        localrule: True
        conda:
            "../../envs/numpy.yaml"
        resources:
            mem_mb=4000,
            runtime=60,
        params:
            images=lambda wildcards, drawn=drawn: study.datasets.image_option(drawn.dataset),
            code=code_hash("zslpipe.commands.together:draw_figures"),
            figures=drawn.told,
        shell:
            "python -m zslpipe figures --index {input.index} {params.images}"
            " --data-root {study.data_root:q} --figures {params.figures:q}"


for alone in ("losses", "maps", "parts", "channels", "gradcam_figure", "predictions"):
    workflow.ruleorder(*[drawn.name for drawn in study.figures.of_datasets], alone)
