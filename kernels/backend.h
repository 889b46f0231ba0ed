/* backend.h - what a back end is made of; for kernels/ only (the engine sees ops.h).
 *
 * ops*.c check shapes, take the output from the arena and call the table; a kernel may therefore rely on its arguments. To
 * add an op: its declaration in ops.h, its check in ops*.c, its row here, and one function in each back end's folder (ref
 * first: it is the specification that tests/ops compares the others with).
 *
 * A kernel may take scratch memory from the arena (backend_alloc): it is released when the kernel returns. */
#ifndef REELWRIGHT_BACKEND_H
#define REELWRIGHT_BACKEND_H

#include "kernels/coll.h"

typedef struct {
    const char *name;
    Status (*open)(Backend *be); /* may set be->own */
    void (*close)(Backend *be);
    /* Of the device, in bytes; 0: unknown. NULL: it computes in the machine's memory. */
    void (*memory)(const Backend *be, int64_t *all, int64_t *available);
    /* What its last bits depend on besides the shapes: the instruction set, or the device's name. NULL: nothing. */
    const char *(*instructions)(const Backend *be);
    /* Which ways were taken where there are several, for records; NULL: there is one. */
    const char *(*notes)(const Backend *be, char *text, size_t room);
    Status (*finish)(Backend *be); /* NULL: nothing is ever on its way */
    /* backend_repeat; NULL: body is run every time. The key has the arena's state behind the caller's. */
    Status (*repeat)(Backend *be, const int64_t key[REPEAT_KEY + 2], void (*body)(void *self), void *self);
    /* A group for tensors on the device, of the processes of `host`, which is borrowed; NULL: `host` itself does it. */
    Status (*coll)(Backend *be, Coll *host, Coll **out);

    /* device memory, 64-byte aligned at least */
    Status (*memory_new)(Backend *be, size_t bytes, void **out);
    void (*memory_free)(Backend *be, void *memory, size_t bytes);
    Status (*upload)(Backend *be, const float *host, Tensor out);
    Status (*download)(Backend *be, Tensor x, float *host);
    Status (*copy)(Backend *be, Tensor dst, Tensor src);
    Status (*zero)(Backend *be, Tensor out);

    bool takes_e4m3; /* linear_pack */
    Status (*linear_pack)(Backend *be, Tensor weight, Tensor bias, Linear *l);
    void (*linear_free)(Backend *be, Linear *l);
    Status (*conv_pack)(Backend *be, Tensor weight, Tensor bias, Conv *c); /* weight has five dimensions here */
    void (*conv_free)(Backend *be, Conv *c);
    int64_t (*conv_numbers)(const Conv *c); /* how many numbers a packed one holds, for planning */
    /* ... and what one takes from the arena while it runs, of an input that is doubled first or not; NULL: little. */
    int64_t (*conv_scratch_bytes)(const Backend *be, Tensor x, const Conv *c, Tensor out, bool doubled);

    /* tokens */
    Status (*linear)(Backend *be, Tensor x, const Linear *w, Activation act, Tensor out);
    /* Products of one x that give the compute type, rounded once, as they are written; NULL: `linear` of each, fp32. */
    Status (*project)(Backend *be, Tensor x, int count, const Linear *const *w, const Tensor *out);
    Status (*linear_add)(Backend *be, Tensor acc, Tensor x, const Linear *w, Tensor gate);
    Status (*linear_geglu)(Backend *be, Tensor x, const Linear *a, const Linear *b, Tensor out);
    Status (*activation)(Backend *be, Tensor x, Activation act, Tensor out);
    Status (*add)(Backend *be, Tensor a, Tensor b, Tensor out);
    Status (*add_to)(Backend *be, Tensor acc, Tensor x, float factor);
    Status (*combine)(Backend *be, Tensor out, int count, const Tensor *x, const double *weight);
    Status (*embed)(Backend *be, Tensor table, const int64_t *ids, int64_t n, Tensor out);
    Status (*layernorm)(Backend *be, Tensor x, Tensor gain, Tensor bias, float eps, Tensor out);
    Status (*rmsnorm)(Backend *be, Tensor x, Tensor gain, float eps, Tensor out);
    Status (*norm_modulate)(Backend *be, Tensor x, Tensor scale, Tensor shift, float eps, Tensor out);
    Status (*sumsq)(Backend *be, Tensor x, Tensor out);
    Status (*qk_norm_rope)(Backend *be, Tensor x, const QkNorm *n);
    Status (*attention)(Backend *be, Tensor q, Tensor k, Tensor v, int heads, float scale, Tensor bias, Tensor out);
    Status (*patchify)(Backend *be, Tensor latent, const int patch[3], Tensor out);
    Status (*unpatchify)(Backend *be, Tensor tokens, const int patch[3], Tensor out);
    Status (*columns)(Backend *be, Tensor x, int64_t first, int64_t count, Tensor out);
    Status (*put_columns)(Backend *be, Tensor dst, Tensor x, int64_t first);

    /* video features */
    Status (*conv)(Backend *be, Tensor x, const Conv *c, Tensor out);
    Status (*conv_add)(Backend *be, Tensor acc, Tensor x, const Conv *c);
    Status (*conv_upsampled)(Backend *be, Tensor x, const Conv *c, Tensor out);
    Status (*channel_norm)(Backend *be, Tensor x, Tensor gain, bool silu, Tensor out);
    Status (*time_split)(Backend *be, Tensor x, Tensor out);
    Status (*avg_down)(Backend *be, Tensor x, int factor_t, int factor_s, Tensor out);
    Status (*dup_up)(Backend *be, Tensor x, int factor_t, int factor_s, bool first_chunk, Tensor out);
    Status (*pixel_shuffle)(Backend *be, Tensor x, int p, Tensor out);
    Status (*pixel_unshuffle)(Backend *be, Tensor x, int p, Tensor out);
    Status (*to_channels_first)(Backend *be, Tensor x, Tensor out);
} Kernels;

extern const Kernels ref_kernels, cpu_kernels;
extern const Kernels cuda_kernels; /* in a module that backend_open loads */
/* k instead of the module's: for programs that have the CUDA back end linked in. */
void backend_register_cuda(const Kernels *k);

typedef struct {
    char *memory;
    size_t bytes;
} ArenaBlock;

struct Backend {
    const Kernels *kernels;
    BackendOptions options; /* threads resolved; compute as it is carried out */
    Status first;           /* the first failure; its message is kept in `message` */
    char message[1024];
    ArenaBlock *block;
    size_t blocks;
    ArenaMark top;      /* where the next tensor goes */
    size_t kept_bytes;  /* weights and tensors outside the arena */
    size_t arena_bytes; /* in all blocks up to `top` */
    size_t peak_bytes;
    void *own; /* the back end's own state */
};

/* Keeps s as the back end's failure if it is one and the first. */
void backend_fail(Backend *be, Status s);
/* Counts memory outside the arena: weights, kept tensors. */
void backend_count(Backend *be, size_t more_bytes, size_t fewer_bytes);
/* When planning: what the kernel about to be skipped would take as scratch memory. */
void backend_plan_scratch(Backend *be, size_t bytes);
/* Activations between two products of a branch: the compute type. */
static inline DType backend_branch(const Backend *be) { return be->options.compute; }

/* One kernel call: skipped after a failure and when planning; what it took from the arena goes back. */
#define BACKEND_RUN(be, call)                                                                                          \
    do {                                                                                                               \
        if (!failed((be)->first) && !(be)->options.plan) {                                                             \
            ArenaMark run_mark_ = backend_mark(be);                                                                    \
            backend_fail(be, (be)->kernels->call);                                                                     \
            backend_release(be, run_mark_);                                                                            \
        }                                                                                                              \
    } while (0)

#endif
