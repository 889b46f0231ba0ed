/* shell.h - commands of other programs: words made safe for a shell, and what a command prints. */
#ifndef REELWRIGHT_SHELL_H
#define REELWRIGHT_SHELL_H

#include <stddef.h>

#include "common/status.h"

/* The word in single quotes, as one word for any POSIX shell; free() it. */
char *shell_quote(const char *word);
/* A command for a person to paste: "reelwright VERB FOLDER CLIP", each word quoted where a shell needs it; clip NULL: without. free()
 * it. */
char *shell_suggest(const char *verb, const char *folder, const char *clip);
/* status_fail of `fmt`, whose one %s is such a command. */
Status shell_advise(ErrClass err, const char *fmt, const char *verb, const char *folder);
/* The word as a person would type it: in quotes only where a shell needs them; bytes that no terminal shows as $'\033'. free() it. */
char *shell_word(const char *word);
/* Runs argv (found in PATH), waits for it, and gives what it printed on both outputs, 0-terminated, at most 64 kB of it; free()
 * it. *code: its exit status, 127 when it cannot be started, 128 + N when signal N ended it. Fails only without pipe or process. */
Status shell_run(char *const *argv, char **text, int *code);
/* What a command printed, for a message, which is one line: its lines joined by "; ", without empty ones; of a long text its end, behind "... ".
 * free() it. */
char *shell_said(const char *text);

#endif
