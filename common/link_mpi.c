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
    unsigned char data[];
} Parcel;

typedef struct {
    Link link;
    Parcel *parcels;
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

/* Frees the parcels that have left, or whose receiver is dead. */
static void sweep_parcels(MpiLink *m)
{
    for (Parcel **at = &m->parcels; *at;) {
        Parcel *p = *at;
        int done = 0;
        if (MPI_Test(&p->request, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && !done) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        free(p);
    }
}

static Status mpi_send(Link *l, int peer, const void *data, size_t bytes)
{
    MpiLink *m = (MpiLink *)l;
    sweep_parcels(m);
    if (m->dead[peer]) return status_ok();
    Parcel *p = malloc(sizeof *p + bytes);
    if (!p) return status_fail(ERR_NODE, "out of memory for a message of %zu bytes", bytes);
    memcpy(p->data, data, bytes);
    p->peer = peer;
    if (MPI_Isend(p->data, (int)bytes, MPI_BYTE, peer, TAG, MPI_COMM_WORLD, &p->request) != MPI_SUCCESS) {
        free(p); /* the peer is dead; the next probe says so */
        return status_ok();
    }
    p->next = m->parcels;
    m->parcels = p;
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

static bool tell_death(MpiLink *m, News *news)
{
    for (int rank = 0; rank < m->link.count; rank++) {
        if (!m->dead[rank] || m->told[rank]) continue;
        m->told[rank] = true;
        *news = (News){.kind = NEWS_DEATH, .peer = rank};
        return true;
    }
    return false;
}

static Status mpi_hear(Link *l, News *news)
{
    MpiLink *m = (MpiLink *)l;
    int from = l->rank == 0 ? MPI_ANY_SOURCE : 0; /* a worker does not care when another worker dies */
    int there = 0, bytes = 0, code;
    MPI_Status envelope;
    sweep_parcels(m);
    TRY(ask_for_deaths(m));
    if (tell_death(m, news)) return status_ok();
    if (from == 0 && m->dead[0]) return status_ok();
    code = MPI_Iprobe(from, TAG, MPI_COMM_WORLD, &there, &envelope);
    if (code != MPI_SUCCESS) {
        if (!is_death(code)) return mpi_fail(code, "probe");
        TRY(learn_deaths(m));
        tell_death(m, news);
        return status_ok();
    }
    if (!there) return status_ok();
    MPI_Get_count(&envelope, MPI_BYTE, &bytes);
    if (bytes < 0 || bytes > LINK_MAX_BYTES) return status_fail(ERR_FATAL, "MPI: a message of %d bytes", bytes);
    unsigned char *data = malloc((size_t)bytes + 1);
    if (!data) return status_fail(ERR_NODE, "out of memory for a message of %d bytes", bytes);
    code = MPI_Recv(data, bytes, MPI_BYTE, envelope.MPI_SOURCE, TAG, MPI_COMM_WORLD, &envelope);
    if (code != MPI_SUCCESS) { /* its sender died before the body came */
        free(data);
        return is_death(code) ? status_ok() : mpi_fail(code, "receive");
    }
    *news = (News){.kind = NEWS_MESSAGE, .peer = envelope.MPI_SOURCE, .data = data, .bytes = (size_t)bytes};
    return status_ok();
}

static bool any_dead(MpiLink *m)
{
    if (failed(learn_deaths(m))) return true;
    for (int rank = 0; rank < m->link.count; rank++)
        if (m->dead[rank]) return true;
    return false;
}

static void mpi_close(Link *l)
{
    MpiLink *m = (MpiLink *)l;
    for (int ms = 0; ms < FLUSH_MS && m->parcels; ms++) {
        struct timespec nap = {.tv_nsec = 1000000};
        sweep_parcels(m);
        nanosleep(&nap, NULL);
    }
    while (m->parcels) { /* to a stopped or dying peer: MPI keeps the buffer, so it is not freed */
        MPI_Request_free(&m->parcels->request);
        m->parcels = m->parcels->next;
    }
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
