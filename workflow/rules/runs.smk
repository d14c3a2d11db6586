# Runs: a method as a variant ({run}: method/variant), on a dataset, from a seed. Training and
# scoring are one job; evaluation knows no method.


# Snakemake deletes a run's weights and scores before its training starts, which then may refuse
# what it reads: whether it will is asked before, each time.
rule check_inputs:
    input:
        unpack(study.runs.inputs),
    output:
        temp(paths.checked),
    wildcard_constraints:
        run=alternatives(study.runs.names),
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=2000,
        runtime=20,
    params:
        spec=lambda wildcards: canonical(study.runs.run(wildcards).slice),
        reads=study.runs.options,
    shell:
        "python -m zslpipe check-inputs --spec {params.spec:q} {params.reads}"
        " --data-root {study.data_root:q} --output {output}"


# Light heads: on cached features, minutes each.
rule train:
    input:
        unpack(study.runs.inputs),
        checked=paths.checked,
    output:
        weights=paths.weights,
        scores=paths.scores,
        history=paths.history,
    benchmark:
        paths.measured("train")
    wildcard_constraints:
        run=alternatives(study.runs.light),
    conda:
        "../../envs/torch.yaml"
    threads: study.compute["threads"]
    resources:
        gpu=study.gpu,
        mem_mb=study.resources.training,
        runtime=study.resources.training_minutes,
    params:
        spec=lambda wildcards: canonical(study.runs.run(wildcards).slice),
        code=lambda wildcards: study.runs.code(wildcards, "train"),
        folder=subpath(output.scores, parent=True),
        reads=study.runs.options,
    shell:
        "python -m zslpipe train --spec {params.spec:q} --seed {wildcards.seed} {params.reads}"
        " --data-root {study.data_root:q} --output {params.folder} --threads {threads}"
        " --compute {study.compute_json:q}"


# End-to-end methods: from images, a GPU's hours. A job that is cut off goes on from its checkpoint.
use rule train as train_end_to_end with:
    wildcard_constraints:
        run=alternatives(study.runs.end_to_end),
    threads: study.compute["image_threads"]
    resources:
        gpu=study.gpu,
        mem_mb=study.resources.training,
        runtime=study.resources.training_minutes,


rule evaluate:
    input:
        paths.scores,
    output:
        paths.metrics,
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=study.resources.scores,
        runtime=10,
    params:
        code=code_hash("zslpipe.commands.scores:evaluate"),
        run=study.results.asked,
    shell:
        "python -m zslpipe evaluate --scores {input} --run {params.run:q} --output {output}"


# Of runs with `track: test`: what their best epoch on the test images would have been.
rule best_on_test:
    input:
        metrics=paths.metrics,
        history=paths.history,
    output:
        paths.best_on_test,
    localrule: True
    conda:
        "../../envs/numpy.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code_hash("zslpipe.commands.scores:best_on_test"),
    shell:
        "python -m zslpipe best-on-test --metrics {input.metrics} --history {input.history}"
        " --output {output}"
