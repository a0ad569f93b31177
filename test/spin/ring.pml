/* ring.pml: the protocol of docs/PROTOCOL.md, for the model checker spin (test/spin/check).
 *
 *   -DPART_RING    one slot: words, head and tail, both waits, the end of either side
 *   -DPART_BLOCKS  the block table: two processes add blocks at the same time, a third comes later
 *   -DPART_SLOTS   slots taken, given back, taken again; exec; threads that die before their first word
 *
 * Memory: what a producer stores is on its way (`way_…`) until the process Memory lets it arrive, in any
 * order, but for a release store, which arrives after all that the producer stored before it. A locked
 * instruction (x86) waits until everything arrived. Loads are acquire loads and happen in order; the
 * consumer's stores are all seq_cst. Every word is stored in two halves, so that a torn one would be seen.
 * Death: `kill_…` may become true at any time, and ends a process between any two of its steps; what it
 * stored still arrives. Sleeps: TIMEOUT is the time limit of futex_wait; it may pass at any time.
 *
 * Steps and lines of C:
 *   Producer  put        writer.h writer_put            Consumer  look     reader.c hear, head_of
 *             publish    writer.h writer_publish                  feed     reader.c reader_feed
 *             await      writer.c await, free_words               advance  reader.c advance, wake_producer
 *             close      writer.c writer_close                    ended    process.c ended, drained
 *             take       writer.c take_slot, writer_open          sleep    reader.c reader_sleep
 *             exec       writer.c writer_exec                     free     process.c free_slot
 *   Adder     find       blocks.c (plugin) find, same             unborn   process.c look_at_unborn
 *             append     blocks.c (plugin) append                 announce blocks.c (front) announce_blocks
 *
 * What must hold: every assert below; and, with weak fairness, the `ltl` formulas: nobody waits for ever.
 * -DBREAK_… plants a defect; test/spin/check asks that spin finds each.
 */

#ifdef PART_RING
/* ================================================================================================ */
#ifndef WORDS
#define WORDS 4 /* in the life of the stream: the ring of 3 wraps */
#endif
#define RING 3

byte lo[RING], hi[RING];                         /* memory: word p holds p + 1 in both halves */
byte head, tail;                                 /* as everybody sees them */
bool way_lo[RING], way_hi[RING], way_head;       /* stored, not arrived */
byte val_lo[RING], val_hi[RING], val_head;
byte stored;                                     /* words the producer has stored */
bool live = true, done, free_again;              /* state: LIVE, DONE, FREE */
bool producer_waiting, consumer_waiting, detached;
bool producer_sleeps, consumer_sleeps;
bool kill_producer, kill_consumer;               /* now they die */
bool producer_over, consumer_over;               /* they ended, one way or the other */
bool closed;                                     /* the producer ended by itself */
byte taken;                                      /* ghost: words the consumer has used */

#define QUIET (!way_lo[0] && !way_hi[0] && !way_lo[1] && !way_hi[1] && !way_lo[2] && !way_hi[2] && !way_head)
/* nothing is on its way to a cell that the head on its way makes readable */
#define BEHIND(i) ((!way_lo[i] || val_lo[i] > val_head) && (!way_hi[i] || val_hi[i] > val_head))
#define FREE    (detached -> RING : RING - (next - tail))

#ifdef BREAK_RELEASE /* the head may arrive before the words */
#define HEAD_MAY_ARRIVE way_head
#else
#define HEAD_MAY_ARRIVE (way_head && BEHIND(0) && BEHIND(1) && BEHIND(2))
#endif

active proctype Memory()
{
end:
    do
    :: atomic { HEAD_MAY_ARRIVE -> head = val_head; way_head = false }
    :: atomic { way_lo[0] -> lo[0] = val_lo[0]; way_lo[0] = false }
    :: atomic { way_hi[0] -> hi[0] = val_hi[0]; way_hi[0] = false }
    :: atomic { way_lo[1] -> lo[1] = val_lo[1]; way_lo[1] = false }
    :: atomic { way_hi[1] -> hi[1] = val_hi[1]; way_hi[1] = false }
    :: atomic { way_lo[2] -> lo[2] = val_lo[2]; way_lo[2] = false }
    :: atomic { way_hi[2] -> hi[2] = val_hi[2]; way_hi[2] = false }
    od
}

inline publish()
{
    atomic { val_head = next; way_head = true }
}

inline wake_reader()
{
    if
    :: consumer_waiting -> atomic { consumer_waiting = false; consumer_sleeps = false }
    :: else
    fi
}

/* futex_wait: sleeps while the word is set; the time limit, and the look at the peer. */
inline producer_wait()
{
    atomic {
        if
        :: producer_waiting -> producer_sleeps = true
        :: else /* woken before it slept: the futex says so */
        fi
    };
    do
    :: !producer_sleeps -> break
#ifndef BREAK_PRODUCER_TIMEOUT
    :: producer_sleeps = false; break
#endif
    od;
    if
    :: consumer_over && !detached -> goto dies /* writer_numbered */
    :: else
    fi
}

inline await()
{
    do
    :: FREE >= 1 -> break
    :: else ->
        wake_reader();
        atomic { QUIET -> producer_waiting = true }; /* locked */
        if
        :: FREE >= 1
        :: else -> producer_wait()
        fi
    od;
    producer_waiting = false
}

active proctype Producer()
{
    byte next, room; /* room: words up to `end` */
    {
        do
        :: next < WORDS ->
            if
            :: room == 0 ->
                publish();
                await();
                room = FREE;
                if
                :: room > RING - next % RING -> room = RING - next % RING
                :: else
                fi
            :: else
            fi;
#ifdef BREAK_HEAD_FIRST
            atomic { val_head = next + 1; way_head = true };
#endif
            atomic {
                !way_lo[next % RING] && !way_hi[next % RING] ->
                val_lo[next % RING] = next + 1; way_lo[next % RING] = true;
                val_hi[next % RING] = next + 1; way_hi[next % RING] = true;
                /* I2: nothing unread is written over */
                assert(detached || next - tail < RING);
                next++; room--; stored++
            };
            if
            :: publish() /* a block is entered */
            :: skip
            fi
        :: next == WORDS -> break
        od;
        publish();
        atomic { QUIET -> done = true; live = false };
        wake_reader();
        closed = true
    } unless {
        kill_producer
    };
dies:
    QUIET; /* what it stored arrives */
    producer_over = true
}

active proctype Consumer()
{
    byte h, n;
    bool over, is_done;
    {
        do
        :: /* look */
            h = head;
            n = h - tail;
            assert(n <= RING);
            if
            :: n > 0 ->
                if
                :: n > 1 -> n = 1 /* cut anywhere */
                :: skip
                fi;
#ifdef BREAK_TAIL_FIRST
                tail = tail + n;
#endif
                do
                :: n > 0 ->
                    /* no word lost, doubled, torn or not yet there */
                    assert(detached || (lo[taken % RING] == taken + 1 && hi[taken % RING] == taken + 1));
                    taken++;
                    n--
                :: else -> break
                od;
#ifndef BREAK_TAIL_FIRST
                tail = taken;
#endif
                if
                :: producer_waiting && head - tail <= RING / 2 ->
                    atomic {
                        if
                        :: producer_waiting -> producer_waiting = false; producer_sleeps = false
                        :: else
                        fi
                    }
                :: else
                fi
            :: else ->
                /* ended: first whether it is over, then whether all is read */
#ifdef BREAK_DRAINED_FIRST
                h = head;
#endif
                over = producer_over;
                is_done = done;
#ifndef BREAK_DRAINED_FIRST
                h = head;
#endif
                if
                :: (over || is_done) && h == tail -> goto read_all
                :: else
                fi;
                /* sleep */
                consumer_waiting = true;
                if
                :: head == tail ->
                    atomic {
                        if
                        :: consumer_waiting -> consumer_sleeps = true
                        :: else
                        fi
                    };
                    do
                    :: !consumer_sleeps -> break
#ifndef BREAK_CONSUMER_TIMEOUT
                    :: consumer_sleeps = false; break
#endif
                    od
                :: else
                fi;
                consumer_waiting = false
            fi
        :: /* --detach: it leaves the rest alone */
            detached = true;
            goto gone
        od;
read_all:
        assert(taken == tail && tail == head);
        assert(!closed || taken == WORDS); /* whoever ended by itself lost nothing */
        assert(!producer_over || taken == head);
        atomic { tail = head; free_again = true; live = false }
    } unless {
        kill_consumer
    };
gone:
    consumer_over = true
}

active proctype Killer()
{
    if
    :: kill_producer = true
    :: kill_consumer = true
    :: skip
    fi
}

ltl nobody_waits { (<> producer_over) && (<> (consumer_over || free_again)) }
#endif

#ifdef PART_BLOCKS
/* ================================================================================================ */
/* Adders 0 and 1 add blocks at the same time; 0 may be killed anywhere. Adder 2 begins when both are over. */
#define IDS   3 /* one append for each block that is added */
#ifndef KNOWN
#define KNOWN 2 /* entries of the only bucket: blocks beyond it have ids all the same */
#endif
#define A     1
#define B     2

byte blocks, table_used;           /* given out */
byte record[IDS];                  /* the table: the block that lies at a place; 0: nothing whole */
byte index[IDS];                   /* 0: a hole; else place + 1 */
byte known[KNOWN];                 /* 0, or id + 1 */
bool way_record[IDS], way_index[IDS], way_word[3];
byte val_record[IDS], val_index[IDS], val_word[3];
byte word[3];                      /* the BLOCK word of a stream that is not read yet: id + 1; 0: none */
byte meant[3];                     /* ghost: the block that it is to stand for */
bool over[3], kill_first, announced[IDS];

#ifdef BREAK_INDEX_RELEASE
#define INDEX_MAY(i) way_index[i]
#else
#define INDEX_MAY(i) (way_index[i] && !way_record[val_index[i] - 1])
#endif
#ifdef BREAK_HEAD_RELEASE
#define WORD_MAY(k) way_word[k]
#else
#define WORD_MAY(k) (way_word[k] && !way_index[val_word[k] - 1])
#endif
#define RECORD_ARRIVES(i) atomic { way_record[i] -> record[i] = val_record[i]; way_record[i] = false }
#define INDEX_ARRIVES(i) atomic { INDEX_MAY(i) -> index[i] = val_index[i]; way_index[i] = false }
#define WORD_ARRIVES(k) atomic { WORD_MAY(k) -> word[k] = val_word[k]; way_word[k] = false }

active proctype Memory()
{
end:
    do
    :: RECORD_ARRIVES(0)
    :: RECORD_ARRIVES(1)
    :: RECORD_ARRIVES(2)
    :: INDEX_ARRIVES(0)
    :: INDEX_ARRIVES(1)
    :: INDEX_ARRIVES(2)
    :: WORD_ARRIVES(0)
    :: WORD_ARRIVES(1)
    :: WORD_ARRIVES(2)
    od
}

/* find leaves i at the entry where the search ended, and found = id + 1, or 0. */
inline find(b)
{
    i = 0;
    found = 0;
    do
    :: i < KNOWN ->
        e = known[i];
        if
        :: e == 0 -> break
        :: else ->
            at = index[e - 1];
            if
            :: at != 0 && record[at - 1] == b -> found = e; break
            :: else
            fi
        fi;
        i++
    :: else -> break
    od
}

inline append(b)
{
    atomic { id = blocks; blocks++ };
    atomic { at = table_used; table_used++ };
#ifdef BREAK_INDEX_FIRST
    index[id] = at + 1;
#endif
    atomic { val_record[at] = b; way_record[at] = true };
#ifndef BREAK_INDEX_FIRST
    atomic { val_index[id] = at + 1; way_index[id] = true };
#endif
    found = id + 1
}

inline enter(b) /* into `known`: compare-and-swap, a locked instruction */
{
    !way_record[at] && !way_index[id];
    atomic {
        if
        :: known[i] == 0 -> known[i] = id + 1; e = 0
        :: else -> e = 1
        fi
    };
    if
    :: e == 1 -> /* another was quicker */
        find(b);
        if
        :: found == 0 -> found = id + 1
        :: else
        fi
    :: else
    fi
}

inline add(b)
{
    find(b);
    if
    :: found == 0 ->
        append(b);
        if
        :: i < KNOWN -> enter(b)
        :: else
        fi
    :: else
    fi;
    word[k] == 0 && !way_word[k]; /* its ring has room again */
    atomic { meant[k] = b; val_word[k] = found; way_word[k] = true }
}

proctype Adder(byte k)
{
    byte i, e, at, id, found;
    {
        if
        :: k == 2 -> over[0] && over[1]; add(A)
        :: k == 1 -> add(A)
        :: k == 0 ->
            if
            :: add(A)
            :: add(B)
            fi
        fi
    } unless {
        kill_first && k == 0
    };
    over[k] = true
}

inline announce()
{
    n = blocks;
    i = 0;
    do
    :: i < n ->
        if
        :: !announced[i] && index[i] != 0 ->
            assert(record[index[i] - 1] != 0); /* I4: the record is written before */
            announced[i] = true
        :: else
        fi;
        i++
    :: else -> break
    od
}

active proctype Consumer()
{
    byte k, n, i, w;
end:
    do
    :: atomic { word[0] != 0 -> k = 0 } -> goto read
    :: atomic { word[1] != 0 -> k = 1 } -> goto read
    :: atomic { word[2] != 0 -> k = 2 } -> goto read
    od;
read:
#ifndef BREAK_ANNOUNCE_LATE
    announce();
#endif
    w = word[k] - 1;
    assert(announced[w]); /* the sim knows whatever a word names */
    assert(record[index[w] - 1] == meant[k]);
    /* no place of the table is given twice, and no block has two entries */
    assert(index[0] == 0 || index[0] != index[1]);
    assert(known[KNOWN - 1] == 0 || KNOWN == 1 ||
           record[index[known[0] - 1] - 1] != record[index[known[KNOWN - 1] - 1] - 1]);
    d_step { word[k] = 0; k = 0; n = 0; i = 0; w = 0 };
    goto end
}

init {
    atomic { run Adder(0); run Adder(1); run Adder(2) };
    if
    :: kill_first = true
    :: skip
    fi
}

ltl nobody_waits { <> (over[0] && over[1] && over[2]) }
#endif

#ifdef PART_SLOTS
/* ================================================================================================ */
/* Two processes of one thread each, two slots. The first may become another program once (exec); each
 * ends, and one may be killed anywhere. Memory is plain here: the order of stores within a slot is PART_RING's matter. */
#define SLOTS 2
#define PIDS  2
#define LIFE  8  /* words that one slot ever has, at most */

mtype = { S_FREE, S_LIVE, S_DONE, S_EXEC, L_NONE, L_UNBORN, L_BORN };
mtype state[SLOTS] = S_FREE;
byte pid_of[SLOTS];                /* as the slot says; 0: not told */
byte head[SLOTS], tail[SLOTS];
byte written[SLOTS * LIFE];        /* whose each word is */
byte threads;
bool dead[PIDS + 1];
bool kill_it[PIDS + 1];
byte clock, began[SLOTS];          /* the time in the first record of a stream */
byte owner[SLOTS];                 /* ghost: who may write */
bool untold[SLOTS];                /* ghost: its owner died before it told its pid */

mtype list[SLOTS] = L_NONE;        /* the consumer's */
byte born_as[SLOTS];
bool replaced[SLOTS];
byte seen_threads;

inline take()
{
    ending = true;
    s = SLOTS;
    do
    :: s == SLOTS && ending ->
        ending = false;
        j = 0;
        do
        :: j < SLOTS && s == SLOTS ->
            atomic {
                if
                :: state[j] == S_FREE ->
                    assert(owner[j] == 0);
                    state[j] = S_LIVE; owner[j] = p; s = j
                :: state[j] == S_DONE -> ending = true
                :: else
                fi
            };
            j++
        :: else -> break
        od
    :: else -> break
    od;
    if
    :: s == SLOTS -> goto unobserved
    :: else
    fi;
    threads++;
    pid_of[s] = p
}

inline put_word()
{
    atomic {
        assert(owner[s] == p);
        written[s * LIFE + head[s]] = p;
        head[s]++
    }
}

proctype Process(byte p)
{
    byte s = SLOTS, j;
    bool ending, again;
    {
        take();
program:
        atomic { began[s] = clock; clock++ };
        put_word(); /* EV_START */
        if
        :: p == 1 && !again ->
            again = true;
            state[s] = S_EXEC;
            if
            :: state[s] = S_LIVE /* it failed */
            :: owner[s] = 0; take(); goto program
            fi
        :: skip
        fi;
        put_word(); /* EV_THREAD_EXIT */
        atomic { state[s] = S_DONE; owner[s] = 0 };
unobserved:
        skip
    } unless {
        kill_it[p]
    };
    atomic {
        if
        :: s < SLOTS && owner[s] == p -> owner[s] = 0; untold[s] = pid_of[s] != p
        :: else
        fi;
        /* killed between its compare-and-swap and the next step */
        dead[p] = true
    }
}

inline free_slot(x)
{
    assert(owner[x] == 0); /* nobody loses his slot while he lives */
    tail[x] = head[x];
    list[x] = L_NONE;
    replaced[x] = false;
#ifndef BREAK_STALE_PID
    pid_of[x] = 0;
#endif
    state[x] = S_FREE
}

/* open_streams, once; with more slots taken meanwhile nobody is born yet (process.c I1). */
inline look_for()
{
    t = threads;
    if
    :: t != seen_threads ->
        if
        :: list[0] == L_NONE && state[0] != S_FREE -> list[0] = L_UNBORN
        :: else
        fi;
        if
        :: list[1] == L_NONE && state[1] != S_FREE -> list[1] = L_UNBORN
        :: else
        fi;
        if
        :: threads == t -> seen_threads = t
        :: else
        fi
    :: else
    fi
}

inline bear(x)
{
    born_as[x] = written[x * LIFE + tail[x]];
    if
    :: list[1 - x] == L_BORN && born_as[1 - x] == born_as[x] -> replaced[1 - x] = true
    :: else
    fi;
    list[x] = L_BORN
}

#define BIRTH(x) (list[x] == L_UNBORN && head[x] != tail[x])
#ifdef BREAK_BIRTH_ORDER
#define ELDER(x) true
#else
#define ELDER(x) (began[x] < began[1 - x])
#endif

/* bear_eldest */
inline bear_eldest()
{
    has0 = BIRTH(0);
    has1 = BIRTH(1);
    if
    :: t == seen_threads && has0 && (!has1 || ELDER(0)) -> bear(0)
    :: t == seen_threads && has1 && (!has0 || ELDER(1)) -> bear(1)
    :: t != seen_threads || (!has0 && !has1)
    fi
}

/* What the consumer does with a slot in reader_step and reader_look. */
inline tend(x)
{
    if
    :: list[x] == L_UNBORN ->
#ifdef BREAK_UNBORN_ORDER
        none = head[x] == tail[x];
        gone = dead[pid_of[x]];
#else
        gone = dead[pid_of[x]];
        none = head[x] == tail[x];
#endif
        if
        :: gone && none ->
            assert(head[x] == tail[x]); /* no word is thrown away */
            free_slot(x)
        :: else
        fi
    :: list[x] == L_BORN && head[x] != tail[x] ->
        assert(written[x * LIFE + tail[x]] == born_as[x]); /* nobody else's word */
        tail[x]++
    :: list[x] == L_BORN && head[x] == tail[x] ->
        gone = dead[born_as[x]] || replaced[x];
        if
        :: gone && head[x] == tail[x] -> free_slot(x)
        :: else
        fi
    :: list[x] == L_NONE
    fi;
    d_step { gone = false; none = false; has0 = false; has1 = false }
}

active proctype Consumer()
{
    byte t;
    bool gone, none, has0, has1;
end:
    do
    :: true ->
        look_for();
        bear_eldest();
        tend(0);
        tend(1)
    od
}

init {
    atomic { run Process(1); run Process(2) };
    if
    :: kill_it[1] = true
    :: kill_it[2] = true
    :: skip
    fi
}

#define BACK(x) (state[x] == S_FREE || untold[x])
ltl nobody_waits { <> (dead[1] && dead[2] && BACK(0) && BACK(1)) }
#endif
