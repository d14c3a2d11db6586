"""How far an extraction is: a bar or lines for who looks on, progress.json for ``zslpipe status``;
of several ranks the sum, which rank 0 tells.
"""

import time

from tqdm import tqdm

from zslpipe.features.ranks import Team
from zslpipe.machine.progress import REPORT_SECONDS, ProgressLines, write_progress


class ExtractionProgress:
    """What an extraction of the name ``what`` tells: of ``total`` images ``before`` were done when
    the run began.
    """

    def __init__(self, name: str, total: int, before: int, team: Team):
        self.what, self.total, self.before, self.team = f"extraction {name}", total, before, team
        self.lines = ProgressLines(self.what, "images", total, before)
        self.reported, self.of_others = float("-inf"), 0
        self.bar = tqdm(
            total=total,
            unit="image",
            desc=name,
            initial=before,
            mininterval=1.0,
            disable=True if team.rank.number else None,
        )

    def add(self, images: int) -> None:
        """Count images that this rank has done."""
        self.team.done += images
        self.tell()

    def tell(self) -> None:
        """Tell how far all ranks are, where it is time to."""
        if self.team.rank.number:
            return
        due = time.monotonic() - self.reported >= REPORT_SECONDS
        if due:
            self.of_others = self.team.others("done")
        done = self.before + self.team.done + self.of_others
        self.bar.update(done - self.bar.n if not self.bar.disable else 0)
        self.lines.tell(done)
        if due:
            state = {"what": self.what, "step": done, "steps": self.total}
            write_progress(self.team.folder, state)
            self.reported = time.monotonic()
