/* block.c: translated blocks: the table, decoding, and which part of a block really ran.
 *
 * The front end says "block n starts" and then the accesses. Nothing says that a block ended, so
 * a block left in the middle is found from the step to the next one:
 *
 *     A ──► B   seen before                      one compare, in feed.c
 *     A ──► B   B is where A's last instruction may go            learn it (succ[])
 *     A ──► B   B handles a signal, or starts inside A            A may have been left early
 *
 * In the last case the instruction that did not retire is the first one of A that always accesses
 * memory and lies behind the last access seen; if there is none, A ran to its end (an asynchronous
 * signal is delivered between blocks). A division error is found by the signal it raises.
 *
 * Invariants:
 *  I1  succ[] holds only steps that were checked against the decoded last instruction.
 *  I2  A block record never changes once added, but for its counts and decoded parts.
 *
 * Decoding is done with capstone and only where it is needed: most blocks never are. Instruction
 * semantics: Intel SDM vol. 2; rep prefixes: 0xF2/0xF3 before A4-A7, AA-AF.
 */
#include "sim/sim_int.h"

#include <capstone/capstone.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_ANY 255u

/* -- the table ---------------------------------------------------------------------------------*/

static bool is_prefix(uint8_t c)
{
    return c == 0x66 || c == 0x67 || c == 0x2e || c == 0x36 || c == 0x3e || c == 0x26 ||
           c == 0x64 || c == 0x65 || (c & 0xf0) == 0x40;
}

/* A string instruction under a rep prefix. */
static bool code_is_rep(const uint8_t *code, unsigned n)
{
    bool rep = false;
    unsigned i = 0;

    for (; i < n && (is_prefix(code[i]) || code[i] == 0xf2 || code[i] == 0xf3); i++)
        rep |= code[i] == 0xf2 || code[i] == 0xf3;
    return rep && i < n &&
           ((code[i] >= 0xa4 && code[i] <= 0xa7) || (code[i] >= 0xaa && code[i] <= 0xaf));
}

static bool code_is_syscall(const uint8_t *code, unsigned n)
{
    return n >= 2 && code[n - 2] == 0x0f && code[n - 1] == 0x05;
}

static void set_flags(struct block *b)
{
    const uint8_t *code = b->data + b->insns;
    unsigned last = b->insns ? b->data[b->insns - 1] : 0;

    if (last == 0 || last > b->code_bytes)
        return;
    code += b->code_bytes - last;
    if (code_is_rep(code, last))
        b->flags |= BLOCK_REP_LAST | (b->insns == 1 ? BLOCK_REP_FIRST : 0);
    if (code_is_syscall(code, last))
        b->flags |= BLOCK_SYSCALL;
}

static int grow(struct sim *s)
{
    struct block **chunks = realloc(s->chunks, (s->n_chunks + 1) * sizeof(*chunks));

    if (!chunks)
        return -ENOMEM;
    s->chunks = chunks;
    chunks[s->n_chunks] = aligned_alloc(LINE_SIZE, CHUNK * sizeof(struct block));
    if (!chunks[s->n_chunks])
        return -ENOMEM;
    memset(chunks[s->n_chunks], 0, CHUNK * sizeof(struct block));
    s->n_chunks++;
    return 0;
}

static bool is_marked(const struct sim *s, uint64_t pc)
{
    return map_find(&s->marked, pc) != NULL;
}

/* room_for makes sure that blocks up to `id` have a place; those without a record are empty. */
static int room_for(struct sim *s, uint32_t id)
{
    while (id >= s->n_chunks * CHUNK)
        if (grow(s) != 0)
            return -ENOMEM;
    if (id >= s->n_blocks)
        s->n_blocks = id + 1;
    return 0;
}

int sim_add_block(struct sim *s, uint32_t id, const struct ring_block *r)
{
    if (room_for(s, id) != 0)
        return -ENOMEM;
    struct block *b = sim_block(s, id);
    if (b->data)
        return 0;
    size_t bytes = (size_t)r->insns + r->code_bytes;
    uint8_t *data = malloc(bytes ? bytes : 1);
    if (!data)
        return -ENOMEM;
    memcpy(data, r->data, bytes);

    uint64_t last = r->pc + (r->code_bytes ? r->code_bytes - 1u : 0);
    b->data = data;
    b->pc = r->pc;
    b->insns = r->insns;
    b->code_bytes = r->code_bytes;
    b->lines = (uint8_t)((last >> LINE_SHIFT) - (r->pc >> LINE_SHIFT) + 1);
    b->succ[0] = b->succ[1] = BLOCK_NONE;
    set_flags(b);
    if (is_marked(s, b->pc))
        b->flags |= BLOCK_HANDLER;
    STAT(&s->stats, sim_unique_blocks)++;
    return 0;
}

void blocks_close(struct sim *s)
{
    for (uint32_t i = 0; i < s->n_blocks; i++) {
        struct block *b = sim_block(s, i);
        free((void *)b->data);
        free(b->cost);
        free(b->info);
    }
    for (uint32_t i = 0; i < s->n_chunks; i++)
        free(s->chunks[i]);
    free(s->chunks);
    map_free(&s->marked);
    if (s->decoder) {
        csh h = s->decoder;
        cs_close(&h);
    }
}

uint64_t block_insn_pc(const struct block *b, unsigned insn)
{
    uint64_t pc = b->pc;

    for (unsigned i = 0; i < insn && i < b->insns; i++)
        pc += b->data[i];
    return pc;
}

/* -- decoding ----------------------------------------------------------------------------------*/

static bool open_decoder(struct sim *s)
{
    csh h;

    if (s->decoder)
        return true;
    if (cs_open(CS_ARCH_X86, CS_MODE_64, &h) != CS_ERR_OK)
        return false;
    cs_option(h, CS_OPT_DETAIL, CS_OPT_ON);
    s->decoder = h;
    return true;
}

/* Instructions whose memory pieces are separate accesses of one element each. */
static unsigned element_bytes(const cs_insn *i)
{
    switch (i->id) {
    case X86_INS_VGATHERDPS:
    case X86_INS_VGATHERQPS:
    case X86_INS_VPGATHERDD:
    case X86_INS_VPGATHERQD:
        return 4;
    case X86_INS_VGATHERDPD:
    case X86_INS_VGATHERQPD:
    case X86_INS_VPGATHERDQ:
    case X86_INS_VPGATHERQQ:
        return 8;
    default:
        return 0;
    }
}

/* Accesses that depend on data (masks) or do not happen at all. */
static bool memory_is_conditional(const cs_insn *i)
{
    switch (i->id) {
    case X86_INS_VMASKMOVPS:
    case X86_INS_VMASKMOVPD:
    case X86_INS_VPMASKMOVD:
    case X86_INS_VPMASKMOVQ:
    case X86_INS_MASKMOVDQU:
    case X86_INS_VMASKMOVDQU:
    case X86_INS_MASKMOVQ:
    case X86_INS_LEA:
    case X86_INS_NOP:
    case X86_INS_PREFETCH:
    case X86_INS_PREFETCHW:
    case X86_INS_PREFETCHNTA:
    case X86_INS_PREFETCHT0:
    case X86_INS_PREFETCHT1:
    case X86_INS_PREFETCHT2:
    case X86_INS_CLFLUSH:
    case X86_INS_CLFLUSHOPT:
    case X86_INS_CLWB:
    case X86_INS_INVLPG:
        return true;
    default:
        return element_bytes(i) != 0;
    }
}

/* Stack operations without a memory operand in the encoding. */
static unsigned implicit_bytes(const cs_insn *i)
{
    switch (i->id) {
    case X86_INS_PUSH:
    case X86_INS_POP:
    case X86_INS_CALL:
    case X86_INS_RET:
    case X86_INS_LEAVE:
    case X86_INS_PUSHFQ:
    case X86_INS_POPFQ:
    case X86_INS_ENTER:
        return 8;
    default:
        return 0;
    }
}

static unsigned operand_bytes(const cs_insn *i)
{
    const cs_x86 *x = &i->detail->x86;
    unsigned element = element_bytes(i);

    if (element)
        return element;
    for (unsigned n = 0; n < x->op_count; n++)
        if (x->operands[n].type == X86_OP_MEM)
            return x->operands[n].size && x->operands[n].size < BYTES_ANY ? x->operands[n].size
                                                                          : BYTES_ANY;
    return implicit_bytes(i);
}

static bool has_memory(const cs_insn *i)
{
    const cs_x86 *x = &i->detail->x86;

    if (implicit_bytes(i))
        return true;
    if (memory_is_conditional(i))
        return false;
    for (unsigned n = 0; n < x->op_count; n++)
        if (x->operands[n].type == X86_OP_MEM)
            return true;
    return false;
}

/* add [m],r and its like: the first operand is read and written. The processor asks for the right to write
 * before it reads, so a missing page is one write fault (SDM vol. 3A, 4.7). */
static bool modifies_memory(const cs_insn *i)
{
    static const unsigned ids[] = {
        X86_INS_ADD,     X86_INS_ADC,       X86_INS_SUB,        X86_INS_SBB,  X86_INS_AND,
        X86_INS_OR,      X86_INS_XOR,       X86_INS_INC,        X86_INS_DEC,  X86_INS_NOT,
        X86_INS_NEG,     X86_INS_SHL,       X86_INS_SAL,        X86_INS_SHR,  X86_INS_SAR,
        X86_INS_ROL,     X86_INS_ROR,       X86_INS_RCL,        X86_INS_RCR,  X86_INS_SHLD,
        X86_INS_SHRD,    X86_INS_BTS,       X86_INS_BTR,        X86_INS_BTC,  X86_INS_XADD,
        X86_INS_CMPXCHG, X86_INS_CMPXCHG8B, X86_INS_CMPXCHG16B, X86_INS_XCHG,
    };
    const cs_x86 *x = &i->detail->x86;

    for (unsigned n = 0; n < ARRAY_LEN(ids); n++)
        if (i->id == ids[n])
            return x->operands[0].type == X86_OP_MEM || i->id == X86_INS_XCHG;
    return false;
}

static void decode_insn(const cs_insn *i, struct insn_info *info)
{
    info->operand_bytes = (uint8_t)operand_bytes(i);
    /* The state-saving instructions write areas, not operands: every contiguous run is one access. */
    switch (i->id) {
    case X86_INS_FXSAVE:
    case X86_INS_FXSAVE64:
    case X86_INS_FXRSTOR:
    case X86_INS_FXRSTOR64:
    case X86_INS_XSAVE:
    case X86_INS_XSAVE64:
    case X86_INS_XSAVEC:
    case X86_INS_XSAVEC64:
    case X86_INS_XSAVEOPT:
    case X86_INS_XSAVEOPT64:
    case X86_INS_XRSTOR:
    case X86_INS_XRSTOR64:
        info->operand_bytes = BYTES_ANY;
        break;
    default:
        break;
    }
    info->memory = has_memory(i);
    info->modifies = modifies_memory(i);
    info->stack = implicit_bytes(i) != 0;
    info->call = i->id == X86_INS_CALL;
    info->divides = i->id == X86_INS_DIV || i->id == X86_INS_IDIV;
}

static enum block_end end_of(csh h, const cs_insn *i)
{
    bool direct = i->detail->x86.op_count == 1 && i->detail->x86.operands[0].type == X86_OP_IMM;

    if (cs_insn_group(h, i, CS_GRP_RET) || cs_insn_group(h, i, CS_GRP_INT))
        return END_ANY;
    switch (i->id) {
    case X86_INS_SYSCALL:
    case X86_INS_HLT:
    case X86_INS_UD2:
    case X86_INS_INT3:
        return END_ANY;
    case X86_INS_JMP:
    case X86_INS_CALL:
        return direct ? END_JUMP : END_ANY;
    default:
        return cs_insn_group(h, i, CS_GRP_JUMP) ? END_BRANCH : END_FALL;
    }
}

bool block_decode(struct sim *s, struct block *b)
{
    if (b->info)
        return true;
    struct insn_info *info = calloc(b->insns ? b->insns : 1, sizeof(*info));
    if (!info || !open_decoder(s)) {
        free(info);
        return false;
    }
    csh h = s->decoder;
    cs_insn *i = cs_malloc(h);
    const uint8_t *code = b->data + b->insns;
    uint64_t pc = b->pc;
    enum block_end end = END_ANY; /* what cannot be decoded may go anywhere */

    for (unsigned n = 0; n < b->insns; n++) {
        const uint8_t *at = code;
        size_t left = b->data[n];
        uint64_t insn_pc = pc;
        end = END_ANY;
        info[n].operand_bytes = BYTES_ANY;
        if (cs_disasm_iter(h, &at, &left, &insn_pc, i)) {
            decode_insn(i, &info[n]);
            end = end_of(h, i);
        }
        code += b->data[n];
        pc += b->data[n];
    }
    cs_free(i, 1);
    b->info = info;
    b->end = (uint8_t)end;
    return true;
}

const struct insn_info *block_insn(struct sim *s, struct block *b, unsigned insn)
{
    static const struct insn_info unknown = {.operand_bytes = BYTES_ANY};

    if (insn >= b->insns || !block_decode(s, b))
        return &unknown;
    return &b->info[insn];
}

/* -- steps between blocks ------------------------------------------------------------------------*/

/* The target of a direct jump, from its encoding: rel8 or rel32 at the end of the instruction. */
static uint64_t jump_target(const struct block *b)
{
    unsigned len = b->data[b->insns - 1];
    const uint8_t *code = b->data + b->insns + b->code_bytes - len;
    uint64_t next = b->pc + b->code_bytes;
    unsigned i = 0;

    while (i + 1 < len && (is_prefix(code[i]) || code[i] == 0xf2 || code[i] == 0xf3))
        i++;
    bool rel32 = code[i] == 0xe8 || code[i] == 0xe9 || code[i] == 0x0f;
    if (!rel32)
        return next + (uint64_t)(int64_t)(int8_t)code[len - 1];
    int32_t rel;
    memcpy(&rel, code + len - 4, 4);
    return next + (uint64_t)(int64_t)rel;
}

/* Whether the last instruction of b may go to pc. */
static bool may_go(const struct block *b, uint64_t pc)
{
    uint64_t next = b->pc + b->code_bytes;

    switch ((enum block_end)b->end) {
    case END_FALL:
        return pc == next || ((b->flags & BLOCK_REP) && pc == next - b->data[b->insns - 1]);
    case END_JUMP:
        return pc == jump_target(b);
    case END_BRANCH:
        return pc == next || pc == jump_target(b);
    default:
        return true;
    }
}

int block_handles(const struct sim_proc *p, uint64_t pc)
{
    for (int sig = 1; sig <= 64; sig++)
        if (p->handlers[sig] == pc && pc != 0)
            return sig;
    return 0;
}

/* A flag is never taken back: block_handles says what is true now. */
void blocks_mark_handler(struct sim *s, uint64_t pc)
{
    if (pc == MAP_NONE || is_marked(s, pc))
        return;
    int err = map_put(&s->marked, pc, 1);
    ASSERT(err == 0);
    for (uint32_t i = 0; i < s->n_blocks; i++)
        if (sim_block(s, i)->pc == pc)
            sim_block(s, i)->flags |= BLOCK_HANDLER;
}

/* The first instruction behind the last access seen that must have accessed memory (or divided):
 * the one that did not retire. insns when there is none. */
static unsigned first_missing(struct sim *s, const struct sim_thread *t, struct block *b,
                              bool divide_error)
{
    unsigned n = t->join == NO_JOIN ? 0 : event_insn(t->join) + 1u;

    if (!block_decode(s, b))
        return b->insns;
    for (; n < b->insns; n++)
        if (b->info[n].memory || (divide_error && b->info[n].divides))
            return n;
    return b->insns;
}

void block_cut(struct sim *s, struct sim_thread *t, bool divide_error)
{
    struct block *b = t->block;
    unsigned n = first_missing(s, t, b, divide_error);

    if (n >= b->insns || (b->flags & BLOCK_REP_FIRST))
        return;
    t->instructions -= b->insns - n;
    t->partials++;
    STAT(&s->stats, instructions) -= b->insns - n;
    STAT(&s->stats, div_partial_block)++;
}

static void learn(struct block *from, uint32_t to_id)
{
    from->succ[from->next_succ] = to_id;
    from->next_succ ^= 1;
}

void block_edge(struct sim *s, struct sim_thread *t, struct block *from, uint32_t to_id)
{
    const struct block *to = sim_block(s, to_id);
    int sig = to->flags & BLOCK_HANDLER ? block_handles(t->proc, to->pc) : 0;

    if (!block_decode(s, from))
        return;
    bool allowed = may_go(from, to->pc);
    if (sig != 0 && (!allowed || from->end == END_ANY)) {
        block_cut(s, t, sig == SIGFPE);
        t->rare |= RARE_SIGNAL;
        t->call_sp = allowed && from->info[from->insns - 1].call ? event_addr(t->join) - 8 : 0;
    } else if (!allowed || from->end == END_ANY) {
        block_cut(s, t, false);
    } else {
        learn(from, to_id);
    }
}
