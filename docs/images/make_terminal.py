#!/usr/bin/env python3
"""Records the terminal of the README: runs the commands below and draws what they print as an animated SVG.

    python3 docs/images/make_terminal.py target/debug/millstream > docs/images/terminal.svg

The commands run in a temporary directory beside a link to `examples`; their output is drawn as it is, line by line.
"""
import html, os, subprocess, sys, tempfile

COMMANDS = [
    "millstream run examples/flights/hourly_delays.sql",
    "millstream topic list",
    "millstream group describe hourly-delays",
]
COLUMNS, LINE, SIZE, LEFT, TOP = 116, 19, 13.5, 16, 52
TYPING_S, PAUSE_S, OUTPUT_S = 0.035, 0.9, 0.06


def record(binary):
    """The lines of the session, each with the second at which it appears and whether it is a command."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    lines, now = [], 0.5
    with tempfile.TemporaryDirectory() as directory:
        os.symlink(os.path.join(root, "examples"), os.path.join(directory, "examples"))
        environment = {"PATH": "/usr/bin:/bin", "HOME": directory, "NO_COLOR": "1", "MILLSTREAM_KAFKA": "127.0.0.1:0"}
        for command in COMMANDS:
            lines.append((now, True, command))
            now += len(command) * TYPING_S + 0.4
            words = [binary if word == "millstream" else word for word in command.split()]
            printed = subprocess.run(words, cwd=directory, env=environment, capture_output=True, text=True, check=True)
            for line in printed.stdout.splitlines():
                lines.append((now, False, line[:COLUMNS]))
                now += OUTPUT_S
            now += PAUSE_S
    return lines, now


def draw(lines, end):
    width, height = int(LEFT * 2 + COLUMNS * SIZE * 0.602), TOP + LINE * (len(lines) + 1)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        "<title>A terminal: " + html.escape("; ".join(COMMANDS)) + "</title>",
        "<style>text{font:%spx ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#d7dde4;white-space:pre}"
        ".p{fill:#7ee0a1}.c{fill:#fff}.l{fill-opacity:0;animation:s 0s forwards}@keyframes s{to{fill-opacity:1}}"
        "@media (prefers-reduced-motion: reduce){.l{fill-opacity:1;animation:none}}</style>" % SIZE,
        f'<rect width="{width}" height="{height}" rx="9" fill="#1b2129"/>',
        '<circle cx="20" cy="19" r="6" fill="#ff5f57"/><circle cx="40" cy="19" r="6" fill="#febc2e"/>'
        '<circle cx="60" cy="19" r="6" fill="#28c840"/>',
    ]
    for number, (at, is_command, text) in enumerate(lines):
        y = TOP + LINE * number
        if is_command:
            out.append(f'<text x="{LEFT}" y="{y}" class="l p" style="animation-delay:{max(at - 0.4, 0):.2f}s">$</text>')
            x = LEFT + 2 * SIZE * 0.602
            spans = "".join(
                f'<tspan class="l c" style="animation-delay:{at + i * TYPING_S:.2f}s">{html.escape(c)}</tspan>'
                for i, c in enumerate(text)
            )
            out.append(f'<text x="{x:.1f}" y="{y}" xml:space="preserve">{spans}</text>')
        else:
            out.append(
                f'<text x="{LEFT}" y="{y}" class="l" style="animation-delay:{at:.2f}s" xml:space="preserve">{html.escape(text)}</text>'
            )
    return "\n".join(out + ["</svg>", ""])


if __name__ == "__main__":
    sys.stdout.write(draw(*record(os.path.abspath(sys.argv[1]))))
