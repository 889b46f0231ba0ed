#include "outcome.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/file.h"

enum { LINE_BYTES = 4096 };
static const char variable[] = "REELWRIGHT_OUTCOME";

Status outcome_begin(char **path)
{
    const char *folder = getenv("TMPDIR");
    *path = text_format("%s/reelwright-XXXXXX", folder && *folder ? folder : "/tmp");
    int fd = mkostemp(*path, O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX) != 0 || setenv(variable, *path, 1) != 0) {
        Status status = status_errno(ERR_NODE, "%s", *path);
        free(*path);
        *path = NULL;
        return status;
    }
    close(fd);
    return status_ok();
}

/* -1: no such launcher started this process. */
static int open_outcome(void)
{
    const char *path = getenv(variable);
    return path ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
}

/* One write, so that the lines of several ranks do not mix. */
static void put_line(int fd, const char *line, size_t bytes)
{
    if (write(fd, line, bytes) < 0) return; /* the launcher then says that nobody spoke */
}

void outcome_join(int rank)
{
    char line[32];
    int n = snprintf(line, sizeof line, "%d joined\n", rank), fd = open_outcome();
    if (fd < 0) return;
    flock(fd, LOCK_SH); /* never closed: the lock goes with the process */
    put_line(fd, line, (size_t)n);
}

void outcome_tell(int rank, Status s)
{
    char line[LINE_BYTES];
    int n = snprintf(line, sizeof line, "%d %d %s", rank, (int)s.err, s.message), fd = open_outcome();
    if (fd < 0) return;
    if (n >= LINE_BYTES) n = LINE_BYTES - 1;
    for (int i = 0; i < n; i++)
        if (line[i] == '\n') line[i] = ' ';
    line[n++] = '\n';
    put_line(fd, line, (size_t)n);
    close(fd);
}

OutcomeSoFar outcome_look(const char *path)
{
    char line[LINE_BYTES + 1];
    OutcomeSoFar now = {0};
    FILE *f = fopen(path, "re");
    if (!f) return now;
    while (fgets(line, sizeof line, f)) {
        int rank, err, at = 0;
        if (sscanf(line, "%d joined%n", &rank, &at) == 1 && at > 0)
            now.joined++;
        else if (sscanf(line, "%d %d", &rank, &err) == 2)
            now.told = true;
    }
    now.alive = now.joined > 0 && flock(fileno(f), LOCK_EX | LOCK_NB) != 0;
    fclose(f); /* and with it the lock */
    return now;
}

Status outcome_end(char **path, const char *words)
{
    char line[LINE_BYTES + 1], best[LINE_BYTES] = "";
    int best_err = ERR_NODE, best_worth = 0;
    FILE *f = fopen(*path, "re");
    while (f && fgets(line, sizeof line, f)) {
        int rank, err, at = 0;
        if (sscanf(line, "%d %d %n", &rank, &err, &at) != 2 || err < OK || err > ERR_STOP) continue;
        line[strcspn(line, "\n")] = 0;
        const int worth = rank == 0 ? 3 : strstr(line, " died") ? 2 : 1;
        if (worth <= best_worth) continue;
        best_worth = worth;
        best_err = err;
        snprintf(best, sizeof best, "%s", line + at);
    }
    if (f) fclose(f);
    unlink(*path);
    free(*path);
    *path = NULL;
    if (best_worth == 3 && best_err == OK) return status_ok();
    if (*best) return status_fail(best_err == OK ? ERR_NODE : (ErrClass)best_err, "%s", best);
    return status_fail(ERR_NODE, "the ranks ended without a word; mpirun: %s", words);
}
