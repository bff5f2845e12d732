import { setTimeout as delay } from 'node:timers/promises';
import type { Answer, Asked, Operation } from './history.ts';
import type { Random } from './random.ts';
import type { Seat, Stand } from './stand.ts';

/** All write them. */
const shared = ['register-0', 'register-1', 'register-2'];
/**
 * Only the clients of one auth server write it: nobody takes the place of what a store that goes back loses
 * of it.
 */
const ownOf = (seat: Seat): string => `register-${seat.name}`;
const paceMs = 25;
/** While nobody is in the seat, or it refuses everything. */
const refusedMs = 100;

/** What clients have made so far, for others to use. */
class Made {
  readonly tokens: string[] = [];
  readonly secrets: string[] = [];

  note(asked: Asked): void {
    if (asked.kind === 'mint') this.tokens.push(asked.token);
    if (asked.kind === 'seal') this.secrets.push(asked.secret);
  }
}

export interface Clients {
  /** Resolves when each has its last answer. */
  stop(): Promise<void>;
}

/**
 * Several clients of each auth server, that ask one thing after the other. `random` gives each a source of
 * its own.
 */
export function startClients(stand: Stand, each: number, random: () => Random): Clients {
  const made = new Made();
  let running = true;
  const loops = stand.seats.flatMap((seat) =>
    Array.from({ length: each }, async (_, i) => {
      const own = random();
      for (let n = 0; running; n++) {
        const asked = next(own, made, `${seat.name}-${i}-${n}`, seat);
        const { outcome } = await perform(stand, seat, asked);
        if (outcome === 'ok') made.note(asked);
        // A secret that is deleted on the log is then destroyed, as the use cases do it.
        if (outcome === 'ok' && asked.kind === 'delete')
          await perform(stand, seat, { kind: 'erase', secret: asked.secret });
        await delay(outcome === 'ok' ? paceMs : refusedMs);
      }
    }),
  );
  return {
    stop: async () => {
      running = false;
      await Promise.all(loops);
    },
  };
}

function next(random: Random, { tokens, secrets }: Made, name: string, seat: Seat): Asked {
  const dice = random.below(100);
  const registers = [...shared, ownOf(seat), ownOf(seat)];
  const register = random.oneOf(registers);
  const recent = (list: readonly string[]): string => random.oneOf(list.slice(-4));
  if (dice < 30) return { kind: 'append', registers: [register], value: name };
  if (dice < 38) {
    const other = random.oneOf(registers.filter((one) => one !== register));
    return { kind: 'append', registers: [register, other], value: name };
  }
  if (dice < 58) return { kind: 'read', register };
  if (dice < 64 || tokens.length === 0) return { kind: 'mint', token: `token-${name}` };
  if (dice < 76) return { kind: 'redeem', token: recent(tokens), by: name };
  if (dice < 82 || secrets.length === 0) return { kind: 'seal', secret: `secret-${name}`, value: name };
  if (dice < 85) return { kind: 'delete', secret: recent(secrets), by: name };
  if (dice < 92) return { kind: 'unseal', secret: recent(secrets) };
  if (dice < 99) return { kind: 'beat', stream: `beat-${seat.name}` };
  return { kind: 'compact' };
}

/** Asks whoever sits there now, and writes down what came of it. */
export async function perform(stand: Stand, seat: Seat, asked: Asked): Promise<Operation> {
  const { auth } = seat;
  const invoked = performance.now();
  const reply = await auth.ask(asked);
  const ended = performance.now();
  const common = { worker: auth.name, invoked, asked };
  const operation: Operation =
    reply.status === 'answered'
      ? { ...common, ended, outcome: 'ok', answer: reply.answer as Answer }
      : reply.status === 'silent'
        ? { ...common, ended: Infinity, outcome: 'unknown' }
        : {
            ...common,
            ended: reply.code === 'ambiguous' ? Infinity : ended,
            outcome: reply.code === 'ambiguous' ? 'unknown' : 'failed',
            code: reply.code,
            message: reply.message,
          };
  stand.operations.push(operation);
  return operation;
}
