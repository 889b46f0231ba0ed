#include "link.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

extern char **environ;

static bool is_set(const char *beginning)
{
    const size_t n = strlen(beginning);
    for (char **e = environ; e && *e; e++)
        if (strncmp(*e, beginning, n) == 0) return true;
    return false;
}

/* A launcher's environment holds the rank's number and the address of the launcher. A number without an address was left behind by the
 * shell of an earlier job; Open MPI crashes on it when it starts. */
bool link_under_launcher(void)
{
    const bool pmix = is_set("PMIX_RANK=") && is_set("PMIX_SERVER_URI");
    const bool pmi = is_set("PMI_RANK=") && (is_set("PMI_FD=") || is_set("PMI_PORT=") || is_set("PMI_SPAWNED="));
    return pmix || pmi;
}

void link_forget_launcher(void)
{
    static const char *const left[] = {"PMIX_RANK",
                                       "PMIX_NAMESPACE",
                                       "PMI_RANK",
                                       "OMPI_COMM_WORLD_RANK",
                                       "OMPI_COMM_WORLD_SIZE",
                                       "OMPI_COMM_WORLD_LOCAL_RANK"};
    if (link_under_launcher()) return;
    for (size_t i = 0; i < sizeof left / sizeof *left; i++) unsetenv(left[i]);
}

Status link_send(Link *l, int peer, const void *data, size_t bytes)
{
    if (bytes > LINK_MAX_BYTES)
        return status_fail(ERR_CLIP, "a message of %zu bytes is larger than the %d allowed", bytes, LINK_MAX_BYTES);
    return l->home->send(l, peer, data, bytes);
}

/* Between two looks for news. All wait for the coordinator, so it looks every millisecond (1 % of a core). A worker's naps grow with the
 * time that it has waited, a quarter of it at most: an answer is taken up soon, and a long wait costs a hundred looks a second. */
enum { FIRST_NAP_US = 200, COORDINATOR_NAP_US = 1000, WORKER_NAP_US = 10000 };

Status link_hear(Link *l, int wait_ms, News *news)
{
    const int64_t longest_us = l->rank == 0 ? COORDINATOR_NAP_US : WORKER_NAP_US;
    int64_t left_us = (int64_t)wait_ms * 1000, nap_us = FIRST_NAP_US;
    for (;;) {
        memset(news, 0, sizeof *news);
        TRY(l->home->hear(l, news));
        if (news->kind != NEWS_NONE || left_us <= 0) return status_ok();
        if (nap_us > left_us) nap_us = left_us;
        struct timespec nap = {.tv_nsec = (long)nap_us * 1000};
        if (nanosleep(&nap, NULL) != 0) return status_ok(); /* a signal: the caller may want to act on it */
        left_us -= nap_us;
        nap_us += nap_us / 4;
        if (nap_us > longest_us) nap_us = longest_us;
    }
}

void news_clear(News *n)
{
    free(n->data);
    memset(n, 0, sizeof *n);
}

void link_close(Link **l)
{
    if (*l) (*l)->home->close(*l);
    *l = NULL;
}

void link_abort(Link **l, int code)
{
    if (*l) (*l)->home->abort(*l, code);
    *l = NULL;
}
