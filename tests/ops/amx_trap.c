/* A processor that does not know an instruction raises SIGILL where it stands. What is looked at here is the machine code of AMX only
 * (Software Developer's Manual, volume 2, chapter 2: VEX with three bytes, ModRM, SIB); anything else ends the program as ever. */
#include "tests/ops/amx.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

static _Atomic int64_t trapped;

typedef struct {
    int prefix; /* 0: none, 1: 66, 2: F3, 3: F2 */
    int opcode, reg, rm, vvvv;
    bool memory;
    char *address; /* what base, index and displacement make; of a tile's rows without the index, which is the stride */
    int64_t stride;
    int length;
} Instruction;

static int64_t register_of(const ucontext_t *c, int number)
{
    static const int at[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                             REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return c->uc_mcontext.gregs[at[number]];
}

/* ModRM says memory: base, index, displacement. */
static void read_address(const ucontext_t *c, const uint8_t *code, int at, int mod, int extra, Instruction *i)
{
    int64_t base = 0, index = 0;
    int base_number = i->rm;
    bool relative = mod == 0 && i->rm == 5;
    if (i->rm == 4) {
        const int sib = code[at++], index_number = (sib >> 3 & 7) | (extra & 2) << 2;
        base_number = sib & 7;
        if (index_number != 4) index = register_of(c, index_number) << (sib >> 6);
    }
    const bool none = mod == 0 && base_number == 5; /* a displacement alone, or from the next instruction on */
    if (!none) base = register_of(c, base_number | (extra & 1) << 3);
    int32_t displacement = 0;
    if (mod == 1) displacement = (int8_t)code[at++];
    if (mod == 2 || none) {
        memcpy(&displacement, code + at, 4);
        at += 4;
    }
    if (relative) base = (int64_t)(intptr_t)(code + at);
    i->stride = index;
    i->address = (char *)(intptr_t)(base + displacement);
    i->length = at;
}

/* C4, then R X B (inverted) and the map, then W, vvvv (inverted), L and the prefix. */
static bool read_instruction(const ucontext_t *c, Instruction *i)
{
    const uint8_t *code = (const uint8_t *)(intptr_t)c->uc_mcontext.gregs[REG_RIP];
    if (code[0] != 0xc4 || (code[1] & 31) != 2 || code[2] & 0x84) return false; /* map 0F38, W0, L0 */
    const int mod = code[4] >> 6, extra = ~code[1] >> 5 & 7;
    *i = (Instruction){.prefix = code[2] & 3,
                       .opcode = code[3],
                       .reg = (code[4] >> 3 & 7) | (extra & 4) << 1,
                       .rm = code[4] & 7,
                       .vvvv = ~code[2] >> 3 & 15,
                       .memory = mod != 3,
                       .length = 5};
    if (i->memory) read_address(c, code, 5, mod, extra, i);
    return true;
}

static bool carry_out(const Instruction *i)
{
    const int key = i->opcode << 4 | i->prefix;
    if (!i->memory && key == 0x490 && i->reg == 0 && i->rm == 0)
        amx_release();
    else if (!i->memory && key == 0x493)
        amx_zero(i->reg);
    else if (!i->memory && key == 0x5c2)
        amx_dpbf16ps(i->reg, i->rm, i->vvvv);
    else if (!i->memory && key == 0x5e1)
        amx_dpbusd(i->reg, i->rm, i->vvvv);
    else if (i->memory && key == 0x490)
        amx_load_shape(i->address + i->stride);
    else if (i->memory && key == 0x491)
        amx_store_shape(i->address + i->stride);
    else if (i->memory && i->rm == 4 && (key == 0x4b3 || key == 0x4b1)) /* 4b1: TILELOADDT1, a hint for the caches */
        amx_load(i->reg, i->address, i->stride);
    else if (i->memory && i->rm == 4 && key == 0x4b2)
        amx_store(i->reg, i->address, i->stride);
    else
        return false;
    return true;
}

static void on_unknown(int signal_number, siginfo_t *info, void *context)
{
    ucontext_t *c = context;
    Instruction i;
    (void)info;
    if (read_instruction(c, &i) && carry_out(&i)) {
        c->uc_mcontext.gregs[REG_RIP] += i.length;
        atomic_fetch_add(&trapped, 1);
        return;
    }
    signal(signal_number, SIG_DFL); /* and now the same once more */
}

void amx_trap(void)
{
    struct sigaction action = {.sa_sigaction = on_unknown, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGILL, &action, NULL) != 0) {
        perror("sigaction");
        abort();
    }
}

int64_t amx_trapped(void) { return trapped; }
