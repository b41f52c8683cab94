"""A terminal for tests: runs a command on a pseudo terminal and keeps what it wrote and what the screen shows.

    terminal.py RECORD COLUMNS[:LATER] [NAME=VALUE ...] COMMAND ...

RECORD.raw is all that was written; RECORD.drawn each line that was drawn and taken back; RECORD.screen what is left on the screen, with lines that
the terminal broke. With COLUMNS:LATER the terminal becomes narrower in the middle and, as real ones do, breaks the rows anew. Understood are
carriage return, line feed, cursor up and clear to the end; anything else fails. The exit code is the command's.
"""
import fcntl, os, pty, re, struct, sys, termios


class Screen:
    def __init__(self, columns):
        self.columns, self.rows, self.row, self.column, self.drawn = columns, [""], 0, 0, []

    def put(self, letter):
        if self.column == self.columns:  # broken
            self.row, self.column = self.row + 1, 0
        while self.row >= len(self.rows):
            self.rows.append("")
        line = self.rows[self.row].ljust(self.column)
        self.rows[self.row] = line[:self.column] + letter + line[self.column + 1:]
        self.column += 1

    def clear(self):
        gone = self.rows[self.row][self.column:] + "".join(self.rows[self.row + 1:])
        if gone:
            self.drawn.append(gone)
        self.rows[self.row] = self.rows[self.row][:self.column]
        del self.rows[self.row + 1:]

    def resize(self, columns):
        """The row with the cursor is broken anew; rows above are left as they are."""
        tail = self.rows[self.row]
        self.columns = columns
        self.rows[self.row:] = [tail[i:i + columns] for i in range(0, max(len(tail), 1), columns)]
        self.column = len(self.rows[-1])
        self.row = len(self.rows) - 1

    def feed(self, text):
        at = 0
        while at < len(text):
            escape = re.match(r"\x1b\[([AJ])", text[at:])
            if escape:
                if escape[1] == "A":
                    self.row -= 1
                    assert self.row >= 0, "the cursor went above the screen"
                else:
                    self.clear()
                at += len(escape[0])
                continue
            letter = text[at]
            assert letter in "\r\n" or letter.isprintable(), f"unexpected {letter!r}"
            if letter == "\r":
                self.column = 0
            elif letter == "\n":
                self.row, self.column = self.row + 1, 0
                while self.row >= len(self.rows):
                    self.rows.append("")
            else:
                self.put(letter)
            at += 1


record, columns = sys.argv[1], [int(c) for c in sys.argv[2].split(":")]
command = sys.argv[3:]
while "=" in command[0] and not command[0].startswith("/"):
    name, _, value = command.pop(0).partition("=")
    os.environ[name] = value
child, fd = pty.fork()
if child == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns[0], 0, 0))
    os.execvp(command[0], command)
screen, raw, rest = Screen(columns[0]), "", b""
while True:
    try:
        chunk = os.read(fd, 4096)
    except OSError:  # the other side is closed
        break
    if not chunk:
        break
    text = chunk.decode("ascii")
    cut = text.rfind("\x1b")
    held = text[cut:] if cut >= 0 and not re.match(r"\x1b\[[AJ]", text[cut:]) else ""
    while held:  # the end of a sequence is still on its way
        text += os.read(fd, 1).decode("ascii")
        held = "" if re.match(r"\x1b\[[AJ]", text[cut:]) else held
    raw += text
    screen.feed(text)
    if len(columns) > 1 and screen.columns == columns[0] and len(screen.drawn) > 3 and screen.column > columns[1]:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns[1], 0, 0))
        screen.resize(columns[1])
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
for end, content in ((".raw", raw), (".drawn", "\n".join(screen.drawn) + "\n"), (".screen", "\n".join(r.rstrip() for r in screen.rows) + "\n")):
    open(record + end, "w").write(content)
if len(columns) > 1 and screen.columns != columns[1]:
    sys.exit("the terminal was never resized")
sys.exit(status)
