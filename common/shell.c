#include "shell.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/foreign.h"

enum { MOST_BYTES = 64 << 10 };

char *shell_quote(const char *word)
{
    size_t n = 3;
    for (const char *p = word; *p; p++) n += *p == '\'' ? 4 : 1;
    char *quoted = memory_get(n, 1), *to = quoted;
    *to++ = '\'';
    for (const char *p = word; *p; p++) {
        if (*p == '\'') {
            memcpy(to, "'\\''", 4);
            to += 4;
        } else {
            *to++ = *p;
        }
    }
    *to = '\'';
    return quoted;
}

/* $'...' of bash, zsh, ksh and POSIX 2024. */
static char *escape(const char *word)
{
    char *text = memory_get(4 * strlen(word) + 4, 1), *to = text;
    *to++ = '$';
    *to++ = '\'';
    for (const unsigned char *p = (const unsigned char *)word; *p; p++) {
        const bool plain = *p >= ' ' && *p < 0x7f && *p != '\'' && *p != '\\';
        to += plain ? snprintf(to, 5, "%c", *p) : snprintf(to, 5, "\\%03o", (unsigned)*p);
    }
    *to++ = '\'';
    return text;
}

char *shell_word(const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+,=";
    if (!foreign_is_safe(word)) return escape(word);
    return *word && word[strspn(word, plain)] == 0 ? text_copy(word) : shell_quote(word);
}

char *shell_suggest(const char *verb, const char *folder, const char *clip)
{
    char *where = shell_word(folder), *which = clip ? shell_word(clip) : NULL;
    const char *ends = *folder == '-' || (clip && *clip == '-') ? "-- " : ""; /* else it would be an option */
    char *text = text_format("reelwright %s %s%s%s%s", verb, ends, where, which ? " " : "", which ? which : "");
    free(where);
    free(which);
    return text;
}

Status shell_advise(ErrClass err, const char *fmt, const char *verb, const char *folder)
{
    char *command = shell_suggest(verb, folder, NULL);
    const char *at = strstr(fmt, "%s");
    Status status =
        status_fail(err, "%.*s%s%s", at ? (int)(at - fmt) : (int)strlen(fmt), fmt, at ? command : "", at ? at + 2 : "");
    free(command);
    return status;
}

/* In the child: only calls that are safe between fork and exec. */
static void become(char *const *argv, int output)
{
    signal(SIGPIPE, SIG_DFL); /* other programs count on it */
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0) dup2(nothing, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(output, STDERR_FILENO);
    execvp(argv[0], argv);
    dprintf(STDERR_FILENO, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

static char *read_all(int fd)
{
    char *text = memory_get(MOST_BYTES + 1, 1), rest[4096];
    size_t have = 0;
    for (;;) {
        bool full = have == MOST_BYTES; /* the rest is read too: the program shall not end by SIGPIPE */
        ssize_t n = full ? read(fd, rest, sizeof rest) : read(fd, text + have, MOST_BYTES - have);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return text;
        if (!full) have += (size_t)n;
    }
}

Status shell_run(char *const *argv, char **text, int *code)
{
    int ends[2], how = 0;
    *text = NULL;
    if (pipe2(ends, O_CLOEXEC) != 0) return status_errno(ERR_FATAL, "cannot make a pipe");
    pid_t child = fork();
    if (child == 0) become(argv, ends[1]);
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return status_errno(ERR_FATAL, "cannot start %s", argv[0]);
    }
    *text = read_all(ends[0]);
    close(ends[0]);
    while (waitpid(child, &how, 0) < 0 && errno == EINTR) continue;
    *code = WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how);
    return status_ok();
}

char *shell_said(const char *text)
{
    enum { MOST_SAID = 2000 };
    char *said = NULL;
    size_t bytes = strlen(text), said_bytes;
    const char *between = bytes > MOST_SAID ? "... " : "";
    FILE *to = open_memstream(&said, &said_bytes);
    if (!to) abort();
    if (bytes > MOST_SAID) text += bytes - MOST_SAID, text += strcspn(text, "\n"); /* from the next whole line */
    for (size_t n; *text; text += n + (text[n] != 0)) {
        n = strcspn(text, "\r\n");
        if (strspn(text, " \t") >= n) continue; /* empty */
        fprintf(to, "%s%.*s", between, (int)n, text);
        between = "; ";
    }
    fclose(to);
    return said;
}
