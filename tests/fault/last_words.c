/* last_words.c - four ranks over MPI: what rank 1 said before its end is heard before its death is told, also when MPI knows of the
 * death first; rank 2, stopped in the middle of a large message, holds up nobody, and is heard whole when it goes on. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpi.h>
#if defined(OPEN_MPI)
#include <mpi-ext.h>
#endif

#include "common/link.h"
#include "common/moment.h"

enum { RANKS = 4, WORDS = 3, LARGE = 8 << 20, PATIENCE_MS = 60000 };

static Link *job;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("last words: rank %d, line %d: not %s\n", job->rank, __LINE__, #condition);                         \
            fflush(stdout);                                                                                            \
            link_abort(&job, 1);                                                                                       \
        }                                                                                                              \
    } while (0)

static void say(int peer, const void *data, size_t bytes) { CHECK(!failed(link_send(job, peer, data, bytes))); }

static News hear(void)
{
    News news = {0};
    const int64_t end_ms = moment_ms() + PATIENCE_MS;
    while (news.kind == NEWS_NONE && moment_ms() < end_ms) CHECK(!failed(link_hear(job, 100, &news)));
    CHECK(news.kind != NEWS_NONE);
    return news;
}

static void end_early(void)
{
    for (char word = 0; word < WORDS; word++) say(0, &word, 1);
    _exit(0);
}

static void stop_early(void)
{
    pid_t pid = getpid();
    unsigned char *large = calloc(1, LARGE);
    CHECK(large);
    memset(large, 7, LARGE);
    say(0, &pid, sizeof pid);
    say(0, large, LARGE);
    raise(SIGSTOP);
    hear(); /* the end of the test; the large message leaves meanwhile */
    _exit(0);
}

static void answer(void)
{
    for (int i = 0; i < 2; i++) {
        News n = hear();
        say(0, n.data, n.bytes);
        news_clear(&n);
    }
    hear();
    _exit(0);
}

static void wait_for_end_of_one(void)
{
#if defined(MPIX_ERR_PROC_FAILED)
    int gone = 0;
    for (const int64_t end_ms = moment_ms() + PATIENCE_MS; gone == 0 && moment_ms() < end_ms; moment_sleep_ms(20)) {
        MPI_Group group;
        int there;
        MPI_Iprobe(3, 99, MPI_COMM_WORLD, &there, MPI_STATUS_IGNORE); /* MPI learns of deaths while it works */
        CHECK(MPIX_Comm_failure_ack(MPI_COMM_WORLD) == MPI_SUCCESS);
        CHECK(MPIX_Comm_failure_get_acked(MPI_COMM_WORLD, &group) == MPI_SUCCESS);
        MPI_Group_size(group, &gone);
        MPI_Group_free(&group);
    }
    CHECK(gone == 1);
#endif
}

static void listen_to_all(void)
{
    int words = 0, answers = 0;
    bool dead = false, large = false, on = false;
    pid_t stopped = 0;
    wait_for_end_of_one();
    say(3, "well?", 5);
    while (!dead || !on || !large) {
        News n = hear();
        if (n.peer == 1 && n.kind == NEWS_MESSAGE) {
            CHECK(!dead && n.bytes == 1 && n.data[0] == words);
            words++;
        } else if (n.peer == 1) {
            CHECK(words == WORDS);
            dead = true;
            say(3, "and?", 4);
        } else if (n.peer == 2 && n.bytes == sizeof stopped) {
            memcpy(&stopped, n.data, sizeof stopped);
        } else if (n.peer == 2) {
            CHECK(n.bytes == LARGE && n.data[0] == 7 && n.data[LARGE - 1] == 7);
            large = true;
        } else {
            answers++;
        }
        news_clear(&n);
        if (answers == 2 && stopped && !on) {
            CHECK(kill(stopped, SIGCONT) == 0);
            on = true;
        }
    }
}

int main(void)
{
    if (failed(link_open_mpi(&job)) || job->count != RANKS) return 1;
    if (!link_survives_deaths()) return job->rank == 0 ? puts("last words: skipped: this MPI has no ULFM") < 0 : 0;
    if (job->rank == 1) end_early();
    if (job->rank == 2) stop_early();
    if (job->rank == 3) answer();
    listen_to_all();
    puts("last words: fine");
    fflush(stdout);
    say(2, "end", 3);
    say(3, "end", 3);
    link_close(&job);
    return 0;
}
