/* link_mpi.c - the link over MPI.
 *
 * Traps, all met with Open MPI 5.0.11:
 * - MPI_Send to a stopped process blocks for messages above the eager limit, so everything is sent by MPI_Isend from a copy;
 * - MPI_Finalize hangs when a rank is stopped (measured) and can hang after a death (ompi 11404), with async_mpi_finalize too;
 *   MPI_Abort then ends the job, stopped ranks included, and mpirun returns its code; but ranks that hang in MPI_Finalize survive
 *   it, busily, until mpirun is ended ten seconds later. So none begins it after a death: that a process ends without it does the
 *   others no harm then (with ULFM);
 * - a death shows as MPIX_ERR_PROC_FAILED_PENDING from a probe of any source until it is acknowledged; of several at one time it
 *   may not (seen: one of three was told, though MPI's own list had all), so the list is also asked now and then. */
#include "link.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

#include <mpi.h>
#if defined(OPEN_MPI)
#include <mpi-ext.h>
#endif

#include "common/file.h"
#include "common/moment.h"
#include "common/provoke.h"

enum { TAG = 1, FLUSH_MS = 2000, DEATHS_MS = 500 };

typedef struct Parcel { /* a message on its way */
    struct Parcel *next;
    MPI_Request request;
    int peer;
    size_t bytes;
    unsigned char *data; /* owned */
} Parcel;

typedef struct {
    Link link;
    Parcel *leaving, *arriving;
    bool *dead, *told; /* [count]: known to be dead; passed on as news */
    int64_t asked_ms;  /* when MPI was last asked for deaths */
} MpiLink;

static Status mpi_fail(int code, const char *what)
{
    char text[MPI_MAX_ERROR_STRING];
    int n = 0;
    if (MPI_Error_string(code, text, &n) != MPI_SUCCESS) n = 0;
    return status_fail(ERR_FATAL, "MPI: %s: %.*s", what, n, text);
}

static Parcel *new_parcel(int peer, size_t bytes)
{
    Parcel *p = malloc(sizeof *p);
    unsigned char *data = malloc(bytes + 1);
    if (!p || !data) return free(p), free(data), NULL;
    *p = (Parcel){.peer = peer, .bytes = bytes, .data = data};
    return p;
}

static void free_parcel(Parcel *p)
{
    free(p->data);
    free(p);
}

static void append_parcel(Parcel **list, Parcel *p)
{
    while (*list) list = &(*list)->next;
    *list = p;
}

/* Frees the parcels that have left, or whose receiver is dead. */
static void sweep_parcels(MpiLink *m)
{
    for (Parcel **at = &m->leaving; *at;) {
        Parcel *p = *at;
        int done = 0;
        if (MPI_Test(&p->request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        free_parcel(p);
    }
}

static Status mpi_send(Link *l, int peer, const void *data, size_t bytes)
{
    MpiLink *m = (MpiLink *)l;
    sweep_parcels(m);
    if (m->dead[peer]) return status_ok();
    Parcel *p = new_parcel(peer, bytes);
    if (!p) return status_fail(ERR_NODE, "out of memory for a message of %zu bytes", bytes);
    memcpy(p->data, data, bytes);
    if (MPI_Isend(p->data, (int)bytes, MPI_BYTE, peer, TAG, MPI_COMM_WORLD, &p->request) != MPI_SUCCESS) {
        free_parcel(p); /* the peer is dead; the next probe says so */
        return status_ok();
    }
    p->next = m->leaving;
    m->leaving = p;
    return status_ok();
}

#if defined(MPIX_ERR_PROC_FAILED)
bool link_survives_deaths(void) { return true; }

static bool is_death(int code)
{
    int class = MPI_SUCCESS;
    MPI_Error_class(code, &class);
    return class == MPIX_ERR_PROC_FAILED || class == MPIX_ERR_PROC_FAILED_PENDING;
}

/* Acknowledges all deaths so far, so that probes work again, and notes who they are. */
static Status learn_deaths(MpiLink *m)
{
    MPI_Group world, gone;
    int code, n = 0;
    if ((code = MPIX_Comm_failure_ack(MPI_COMM_WORLD)) != MPI_SUCCESS) return mpi_fail(code, "acknowledge a death");
    if ((code = MPIX_Comm_failure_get_acked(MPI_COMM_WORLD, &gone)) != MPI_SUCCESS)
        return mpi_fail(code, "learn who died");
    MPI_Comm_group(MPI_COMM_WORLD, &world);
    MPI_Group_size(gone, &n);
    for (int i = 0; i < n; i++) {
        int rank = MPI_UNDEFINED;
        MPI_Group_translate_ranks(gone, 1, &i, world, &rank);
        if (rank >= 0 && rank < m->link.count) m->dead[rank] = true;
    }
    MPI_Group_free(&gone);
    MPI_Group_free(&world);
    return status_ok();
}
#else
bool link_survives_deaths(void) { return false; }
static bool is_death(int code) { return (void)code, false; }
static Status learn_deaths(MpiLink *m) { return (void)m, status_ok(); }
#endif

static Status ask_for_deaths(MpiLink *m)
{
    int64_t now_ms = moment_ms();
    if (now_ms - m->asked_ms < DEATHS_MS) return status_ok();
    m->asked_ms = now_ms;
    return learn_deaths(m);
}

/* Takes the first message that has arrived as a whole. A message of which only the beginning has arrived stays in the list: its sender may be
 * stopped, and messages of the other ranks are taken meanwhile. When the sender dies, the rest is not waited for any longer. */
static Status take_arrived(MpiLink *m, News *news)
{
    for (Parcel **at = &m->arriving; *at;) {
        Parcel *p = *at;
        int done = 0, code = MPI_Test(&p->request, &done, MPI_STATUS_IGNORE);
        if (code == MPI_SUCCESS && !done) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        if (code == MPI_SUCCESS)
            *news = (News){.kind = NEWS_MESSAGE, .peer = p->peer, .data = p->data, .bytes = p->bytes};
        else
            free(p->data);
        free(p);
        if (code != MPI_SUCCESS && !is_death(code)) return mpi_fail(code, "receive");
        if (news->kind != NEWS_NONE) break;
    }
    return status_ok();
}

/* Takes the next message out of MPI's queue, and then receives it: a plain receive refuses a sender that is known to be dead, and
 * the message would stay at the head of the queue for ever. */
static Status take_message(MpiLink *m, int from, News *news)
{
    int there = 0, bytes = 0;
    MPI_Message message;
    MPI_Status envelope;
    int code = MPI_Improbe(from, TAG, MPI_COMM_WORLD, &there, &message, &envelope);
    if (is_death(code)) m->asked_ms = 0; /* who died is asked at once: until then every probe of any source fails */
    if (code != MPI_SUCCESS) return is_death(code) ? status_ok() : mpi_fail(code, "probe");
    if (there) {
        MPI_Get_count(&envelope, MPI_BYTE, &bytes);
        if (bytes < 0 || bytes > LINK_MAX_BYTES) return status_fail(ERR_FATAL, "MPI: a message of %d bytes", bytes);
        Parcel *p = new_parcel(envelope.MPI_SOURCE, (size_t)bytes);
        if (!p) return status_fail(ERR_NODE, "out of memory for a message of %d bytes", bytes);
        code = MPI_Imrecv(p->data, bytes, MPI_BYTE, &message, &p->request);
        if (code != MPI_SUCCESS) return free_parcel(p), is_death(code) ? status_ok() : mpi_fail(code, "receive");
        append_parcel(&m->arriving, p);
    }
    return take_arrived(m, news);
}

/* The death of a rank is told after the last message that came from it: a worker that gave back its shot, said goodbye and ended
 * has not died at work, also when MPI knows of the end before the message is read. */
static Status tell_death(MpiLink *m, News *news)
{
    for (int rank = 0; rank < m->link.count && news->kind == NEWS_NONE; rank++) {
        if (!m->dead[rank] || m->told[rank]) continue;
        TRY(take_message(m, rank, news));
        if (news->kind != NEWS_NONE) break;
        m->told[rank] = true;
        *news = (News){.kind = NEWS_DEATH, .peer = rank};
    }
    return status_ok();
}

static Status mpi_hear(Link *l, News *news)
{
    MpiLink *m = (MpiLink *)l;
    int from = l->rank == 0 ? MPI_ANY_SOURCE : 0; /* a worker does not care when another worker dies */
    sweep_parcels(m);
    TRY(ask_for_deaths(m));
    TRY(tell_death(m, news));
    if (news->kind != NEWS_NONE || (from == 0 && m->dead[0])) return status_ok();
    return take_message(m, from, news);
}

static bool any_dead(MpiLink *m)
{
    if (failed(learn_deaths(m))) return true;
    for (int rank = 0; rank < m->link.count; rank++)
        if (m->dead[rank]) return true;
    return false;
}

/* To or from a stopped or dying peer: MPI keeps the buffers, so they are not freed. */
static void forget_parcels(Parcel *list)
{
    for (; list; list = list->next) MPI_Request_free(&list->request);
}

static void mpi_close(Link *l)
{
    MpiLink *m = (MpiLink *)l;
    for (int ms = 0; ms < FLUSH_MS && m->leaving; ms++) {
        struct timespec nap = {.tv_nsec = 1000000};
        sweep_parcels(m);
        nanosleep(&nap, NULL);
    }
    forget_parcels(m->leaving);
    forget_parcels(m->arriving);
    if (!any_dead(m)) MPI_Finalize();
    free(m->dead);
    free(m->told);
    free(m);
}

static void mpi_abort(Link *l, int code)
{
    (void)l;
    MPI_Abort(MPI_COMM_WORLD, code);
}

/* MPI says it only when all have joined; what started this process says it before. */
static void learn_rank(void)
{
    const char *rank = getenv("PMIX_RANK");
    if (rank) provoke_set_rank((int)strtol(rank, NULL, 10));
}

Status link_open_mpi(Link **out)
{
    static const LinkHome home = {mpi_send, mpi_hear, mpi_close, mpi_abort};
    int code, level;                  /* of threads: only this one calls MPI, others may be there */
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* ranks whose mpirun is gone would linger; what they hold is safe on disk */
    setenv("OMPI_MCA_async_mpi_finalize", "1", 0);
    /* The ofi transport serves one-sided calls, of which there are none here, and where it finds no network it sleeps a second. */
    setenv("OMPI_MCA_btl", "^usnic,ofi", 0); /* usnic: what --with-ft ulfm leaves out, for this takes its place */
    learn_rank();
    TRY(provoke_at("join", NULL, 0));
    if ((code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &level)) != MPI_SUCCESS)
        return mpi_fail(code, "start");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MpiLink *m = memory_get(1, sizeof *m);
    m->link.home = &home;
    MPI_Comm_rank(MPI_COMM_WORLD, &m->link.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &m->link.count);
    provoke_set_rank(m->link.rank);
    m->dead = memory_get((size_t)m->link.count, sizeof *m->dead);
    m->told = memory_get((size_t)m->link.count, sizeof *m->told);
    *out = &m->link;
    return status_ok();
}
