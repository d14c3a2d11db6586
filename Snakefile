"""From images to a table: the chain of files, in the order of the science."""

import sys
import time
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.io import IOFile
from snakemake.utils import min_version

min_version("9.3")
sys.path.insert(0, workflow.basedir)

from zslpipe.formats.figures import FIGURE_SUFFIXES, PAPER, SCREEN
from zslpipe.machine.errors import InputError
from zslpipe.provenance import canonical, code_hash
from zslpipe.study.beside import EVALUATION
from zslpipe.study.copied import listed, made_here
from zslpipe.study.job_shell import shell_prefix
from zslpipe.study.partial import clear_partial, write_partial
from zslpipe.study.paths import braced, check_checkout, is_settled, watched
from zslpipe.study.refused_submissions import refusals_told
from zslpipe.study.study import Study, alternatives
from zslpipe.study.targets import PICTURED_IMAGES
from zslpipe.study.yaml_files import check_yaml

try:
    check_checkout(Path(workflow.basedir), Path.cwd())
    for file in workflow.overwrite_configfiles or ["config.yaml"]:
        check_yaml(Path(file))
except InputError as error:
    raise WorkflowError(str(error))

# A --configfile replaces the demo's configuration instead of being merged into it.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


try:
    study = Study(config)
except InputError as error:
    raise WorkflowError(str(error))

paths = study.paths
started = time.time()


report: "workflow/report/workflow.rst"


# With --sdm apptainer jobs run in this image instead of the conda environments (docs/cluster.md).
container: "envs/zslpipe.sif"


# Jobs import the package from this checkout, in every environment: conda strips PYTHONPATH. The
# path stands here and not in the rules, so that a checkout may move without running anything again.
shell.prefix(shell_prefix(workflow.basedir, workflow.attempt, workflow.remote_exec))


# One card, one job, on each machine (with SLURM: on each node, not on the whole cluster); turns are
# taken inside a submission.
resource_scopes:
    gpu="local",
    turn="local",


wildcard_constraints:
    dataset=alternatives(study.config["datasets"]),
    extractor=alternatives(study.config["extractors"]),
    words=alternatives(study.config["words"]),
    texts=alternatives(study.config["texts"]),
    method=alternatives(study.studies.methods),
    variant=r"\w+",
    run=r"\w+/\w+",
    seed=r"\d+",


onstart:
    for note in study.runs.notes:
        logger.info(note)


rule all:
    default_target: True
    input:
        study.targets.all(),
    localrule: True


include: "workflow/rules/data.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/runs.smk"
include: "workflow/rules/imported.smk"
include: "workflow/rules/attention.smk"
include: "workflow/rules/gradcam.smk"
include: "workflow/rules/irrelevant.smk"
include: "workflow/rules/ensembles.smk"
include: "workflow/rules/rebalance.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/page.smk"
include: "workflow/rules/studies.smk"


# A failed run costs its rows, not the table: what succeeded is shown, marked partial.
onerror:
    try:
        logs = [log] if isinstance(log, str) else log
        failed = workflow.scheduler.failed
        said = write_partial(study, workflow.dag, failed, started, logs) + refusals_told(logs)
    except Exception as error:
        said = f"no partial table: {type(error).__name__}: {error}\n"
    sys.stderr.write(said)


onsuccess:
    clear_partial(study)
