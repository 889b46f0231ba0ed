/* checkpoint_parts.h - what a checkpoint's file says, for checkpoint.c, which writes it, and checkpoint_read.c. */
#ifndef REELWRIGHT_CHECKPOINT_PARTS_H
#define REELWRIGHT_CHECKPOINT_PARTS_H

#include <hdf5.h>

#include "worker/render/checkpoint.h"

enum { SOLVER_MAX = sizeof((DenoiseState *)0)->solver / sizeof(float *), IMAGE_GROWTH = 1 << 12 };
enum { SEAL_BYTES = 1 + 18 + 1 + 4 + 1 + 6 + 1 + 64 + 1 }; /* "\nreelwright-latents 0001 sha256 ...\n" */
extern const char checkpoint_format[];                     /* the name in its seal */

/* As one table: the same rows write and read it. */
typedef enum { ROW_TEXT, ROW_INT, ROW_SEED, ROW_REAL } RowKind;
typedef struct {
    const char *name;
    RowKind kind;
    size_t at, size; /* of the field in Checkpoint */
} Row;
enum { ROOT_ROWS = 13, SOLVER_ROWS = 2 };
extern const Row checkpoint_root[ROOT_ROWS], checkpoint_solver[SOLVER_ROWS];

/* What stands behind the HDF5 file: its SHA-256. */
void checkpoint_seal(char seal[SEAL_BYTES + 1], int version, const char *sum);
/* The type of its texts, to be closed. */
hid_t checkpoint_text_type(void);
/* The library prints its own error stack on stderr unless told otherwise; ours say what matters. */
void checkpoint_silence(void);

#endif
