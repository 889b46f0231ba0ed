/* coll.h - what the ranks of a group exchange while they render one shot together.
 *
 * A Coll is one rank's view of a group: `rank` of `size`. It has a home: coll_self.c (a group of one: nothing to do, so that
 * the model code has no `if (size == 1)`), coll_mpi.c (CPU ranks), coll_nccl.c (GPU ranks). A home provides the few calls of
 * CollHome; everything else is composed of them in coll.c.
 *
 * Order. Every rank makes the same calls in the same order. A call on tensors is ordered with the ops of its back end: it
 * sees what was issued before, and what is issued after it (after coll_wait, for a sum that was begun) sees its result. On a
 * GPU it may return before the work is done, as an op does; on a CPU it returns when it is.
 *
 * The same bits everywhere. A sum leaves the same bits on every rank: each number is added up in one place, in the order of
 * ranks, in fp32, and sent to the others. (NCCL's all-reduce has this property too: its algorithms reduce each number at one
 * place, or along one chain.) All ranks hold the residual stream, the latents and the solver's state alike.
 *
 * Failures. Tensor calls have no result: a failure becomes the back end's first one, as an op's does. A rank whose back end
 * has failed never skips a collective silently, because its peers would wait for ever: the call aborts the group instead.
 * When a rank aborts, fails or dies, every call of the other ranks ends with ERR_RETRY within a bounded time, also one that
 * waits already, and so does every later call: an aborted group is closed and formed anew. Outside tensors (a file that
 * cannot be read, a stop that was asked for) ranks agree: coll_agree gives all of them the worst Status of any.
 *
 * Theory of the split (Megatron-LM, arXiv:1909.08053; DeepSpeed-Ulysses, arXiv:2309.14509): engine/wan/split.h. */
#ifndef REELWRIGHT_COLL_H
#define REELWRIGHT_COLL_H

#include "kernels/ops.h"

typedef struct Coll Coll;

enum { COLL_MAX_RANKS = 64, COLL_MAX_PENDING = 2 /* sums begun and not waited for */ };

typedef struct {
    const char *name;
    /* x [any shape], contiguous, fp32 or bf16 (added up in fp32): x = sum over ranks, in place. Begun sums are finished by
     * `wait`, oldest first; between the two nothing may touch x. */
    Status (*sum_begin)(Coll *c, Backend *be, Tensor x);
    Status (*wait)(Coll *c, Backend *be);
    /* Personal parts: in holds one part after the other for ranks 0, 1, ..., of in_count[rank] numbers each; out takes those
     * that the ranks have for this one, of out_count[rank] numbers each. in and out are of one type and do not overlap. */
    Status (*exchange)(Coll *c, Backend *be, Tensor in, const int64_t *in_count, Tensor out, const int64_t *out_count);
    /* x of every rank, of count[rank] numbers, one after the other in `all`, of the same type, on all. */
    Status (*gather)(Coll *c, Backend *be, Tensor x, Tensor all, const int64_t *count);
    /* Host memory; these return when done. gather: `bytes` of every rank, in the order of ranks, to all. */
    Status (*host_gather)(Coll *c, const void *mine, size_t bytes, void *all);
    Status (*host_broadcast)(Coll *c, void *data, size_t bytes, int root);
    /* The ranks of c listed in member[size], this one among them, as a group of their own. It ends with its parent: an abort
     * of either is one of both. Collective over the members. */
    Status (*part)(Coll *c, const int *member, int size, Coll *part);
    Status (*look)(Coll *c); /* ERR_RETRY when a rank has died or given up; never waits. NULL: nobody can */
    void (*abort)(Coll *c);  /* now; never waits for a peer */
    void (*close)(Coll *c);  /* frees `own`; after an abort too */
} CollHome;

struct Coll {
    const CollHome *home;
    int rank, size;
    Coll *parent;               /* of a part, else NULL */
    bool aborted;               /* on the outermost group: no call reaches the home any more, but close */
    int pending;                /* sums begun */
    void *own;                  /* the home's state */
    Status (*idle)(void *self); /* coll_set_idle */
    void *idle_self;
};

Coll *coll_new(const CollHome *home, int rank, int size, void *own); /* for homes */

/* A group of one, shared, never freed and never changed: coll_close and coll_abort leave it alone. */
Coll *coll_self(void);
/* Rank `rank` of `size` for a back end that plans: it exchanges nothing and only has the sizes. */
Coll *coll_planned(int rank, int size);
/* CPU ranks over MPI, which the link has started: world[size] are ranks of MPI_COMM_WORLD, this process's own among them;
 * number is the group's, the same on all members and never used twice in a job. Waits for nobody. */
Status coll_open_mpi(const int *world, int size, int64_t number, Coll **out);
void coll_close(Coll **c);
/* idle is called every 20 ms or so while a call waits for other ranks; a failure that it returns ends the group. */
void coll_set_idle(Coll *c, Status (*idle)(void *self), void *self);
/* The members of c as a group of their own; c itself when that is all of them, the group of one when it is this one alone. */
Status coll_part(Coll *c, const int *member, int size, Coll **out);

/* c for tensors of this back end: c itself where they lie in host memory, else a group of its own home (NCCL), to be closed before
 * the back end and c. Collective. */
Status coll_on_device(Coll *c, Backend *be, Coll **out);

/* What a home does while it waits elsewhere than in the group's calls: `idle`, and whether all ranks are still there. */
Status coll_look(Coll *c);

/* Every rank's later and waiting calls on this group, its parts and its parent end with ERR_RETRY. */
void coll_abort(Coll *c);
bool coll_is_aborted(const Coll *c);

/* ---- tensors; back ends that plan exchange nothing ---- */

void coll_sum(Coll *c, Backend *be, Tensor x);
void coll_sum_begin(Coll *c, Backend *be, Tensor x);
void coll_wait(Coll *c, Backend *be);                          /* the oldest sum begun */
void coll_broadcast(Coll *c, Backend *be, Tensor x, int root); /* x of rank `root` into x of all */

/* acc += gate * (sum over ranks of x W^T, + bias), x and W being each rank's share of the columns; rank 0's W alone has the
 * bias. In pieces of rows, so that a piece is summed while the next is computed. In a group of one: op_linear_add. */
void coll_linear_add(Coll *c, Backend *be, Tensor acc, Tensor x, const Linear *w, Tensor gate);
/* The same without an accumulator: [T,K] -> [T,N] fp32. */
Tensor coll_linear(Coll *c, Backend *be, Tensor x, const Linear *w);
/* Each rank has n columns: [T,n] -> [T,n*size] on all, in the order of ranks. */
Tensor coll_columns(Coll *c, Backend *be, Tensor x);
/* Sums of squares of the rows of a and b (none: of a alone) over all ranks' columns: [2,T] fp32; in a group of one no
 * tensor: the row itself is the whole (op_qk_norm_rope). */
Tensor coll_sumsq(Coll *c, Backend *be, Tensor a, Tensor b);

/* ---- sequence parallelism: each rank has some of the tokens; for attention it has all tokens of some of the heads ---- */

/* The first of `count` things that `rank` has, and one beyond its last: near equal shares, in order. */
int64_t coll_first(const Coll *c, int rank, int64_t count);
/* [tokens of this rank, heads*d] -> [all tokens, this rank's heads * d], and back. tokens, heads: of the group. */
Tensor coll_to_heads(Coll *c, Backend *be, Tensor x, int64_t tokens, int heads);
Tensor coll_to_tokens(Coll *c, Backend *be, Tensor x, int64_t tokens, int heads);
/* [tokens of this rank, n] -> [all tokens, n] on all */
Tensor coll_all_tokens(Coll *c, Backend *be, Tensor x, int64_t tokens);

/* ---- host memory ---- */

Status coll_host_broadcast(Coll *c, void *data, size_t bytes, int root);
Status coll_host_gather(Coll *c, const void *mine, size_t bytes, void *all);
/* The worst status of any rank, with its message, on all. Fails with ERR_RETRY when the group is aborted. */
Status coll_agree(Coll *c, Status mine);

#endif
