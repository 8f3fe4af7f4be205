"""What an audit found, by what was checked."""

from itertools import groupby

from rich.console import Console
from rich.text import Text

from speedrun.answers import Audited


def show(value: Audited, console: Console) -> None:
    """Every finding, the grave ones marked, and how many there are."""
    for check, findings in groupby(value.findings, key=lambda finding: finding.check):
        console.print(Text(check, style="bold"))
        for finding in findings:
            mark = Text("✗ ", style="red") if finding.grave else Text("? ", style="yellow")
            console.print(Text.assemble("  ", mark, f"{finding.where}: {finding.words}"), soft_wrap=True)
    grave = sum(finding.grave for finding in value.findings)
    looked = f"{value.records:,} {'record' if value.records == 1 else 'records'}, {value.signed:,} with a signature"
    if not value.findings:
        console.print(Text.assemble(Text("✓ ", style="green"), f"{looked}: everything fits"), soft_wrap=True)
        return
    others = len(value.findings) - grave
    told = [f"{grave:,} that no honest run leaves"] if grave else []
    told += [f"{others:,} worth a look"] if others else []
    console.print(Text(f"{looked}: {' and '.join(told)}"), soft_wrap=True)
