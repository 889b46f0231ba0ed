/* shell.h - commands of other programs: words made safe for a shell, and what a command prints. */
#ifndef REELWRIGHT_SHELL_H
#define REELWRIGHT_SHELL_H

#include <stddef.h>

#include "common/status.h"

/* The word in single quotes, as one word for any POSIX shell; free() it. */
char *shell_quote(const char *word);
/* Runs argv (found in PATH), waits for it, and gives what it printed on both outputs, 0-terminated, at most 64 kB of it; free()
 * it. *code: its exit status, 127 when it cannot be started, 128 + N when signal N ended it. Fails only without pipe or process. */
Status shell_run(char *const *argv, char **text, int *code);

#endif
