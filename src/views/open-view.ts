import { BehaviorSubject, type Subscription } from 'rxjs';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import type { Followable } from '../log/event-log.ts';
import type { Followed, Position } from '../log/event.ts';
import type { Projection, View } from './view.ts';

/**
 * Opens a read model: from its snapshot if there is one, then everything after. Resolves as soon as it follows; to have
 * all that was written so far, await `reached` with the log's head.
 * When the log was trimmed past the view it goes on from the newest snapshot; it fails only if that does not help.
 * @throws what `log.snapshot` throws.
 */
export async function openView<State>(projection: Projection<State>, log: Followable): Promise<View<State>> {
  const view = new FollowingView(projection, log);
  await view.start();
  return view;
}

interface Waiter {
  readonly position: Position;
  readonly resolve: () => void;
  readonly reject: (reason: Error) => void;
}

class FollowingView<State> implements View<State> {
  readonly #projection: Projection<State>;
  readonly #log: Followable;
  readonly #states: BehaviorSubject<State>;
  readonly changes;
  #state: State;
  #position: Position = 0;
  #subscription: Subscription | undefined;
  #waiters: Waiter[] = [];
  #ended: Error | undefined;
  #failure: Error | undefined;

  constructor(projection: Projection<State>, log: Followable) {
    this.#projection = projection;
    this.#log = log;
    this.#state = projection.initial;
    this.#states = new BehaviorSubject(projection.initial);
    this.changes = this.#states.asObservable();
  }

  async start(): Promise<void> {
    await this.#jumpToSnapshot();
    this.#follow();
  }

  state(): State {
    return this.#state;
  }

  position(): Position {
    return this.#position;
  }

  failure(): Error | undefined {
    return this.#failure;
  }

  reached(position: Position): Promise<void> {
    if (this.#position >= position) return Promise.resolve();
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ position, resolve, reject });
    });
  }

  close(): void {
    if (this.#ended) return;
    this.#end(new CodedError('unavailable', `the view ${this.#projection.name} is closed`));
    this.#states.complete();
  }

  /** Answers whether the snapshot was newer than what the view has. */
  async #jumpToSnapshot(): Promise<boolean> {
    const snapshot = await this.#log.snapshot(this.#projection.name);
    if (this.#ended || !snapshot || snapshot.position <= this.#position) return false;
    this.#move(this.#projection.decode(snapshot.state), snapshot.position);
    return true;
  }

  #follow(): void {
    if (this.#over()) return;
    const subscription = this.#log.follow(this.#position).subscribe({
      next: (followed) => {
        this.#take(followed);
      },
      error: (e: unknown) => {
        this.#broken(e);
      },
      complete: () => {
        this.#fail(new CodedError('unavailable', `the log of the view ${this.#projection.name} was closed`));
      },
    });
    // A log may answer, and even end, before `subscribe` returns.
    if (this.#over()) subscription.unsubscribe();
    else this.#subscription = subscription;
  }

  #take(followed: Followed): void {
    if (this.#ended || followed.position <= this.#position) return;
    if (!followed.fact) {
      this.#move(this.#state, followed.position);
      return;
    }
    let next;
    try {
      next = this.#projection.apply(this.#state, followed);
    } catch (e) {
      this.#fail(e);
      return;
    }
    this.#move(next, followed.position);
  }

  #move(state: State, position: Position): void {
    const changed = state !== this.#state;
    this.#state = state;
    this.#position = position;
    if (changed) this.#states.next(state);
    if (this.#waiters.length === 0) return;
    const ready = this.#waiters.filter((waiter) => waiter.position <= position);
    this.#waiters = this.#waiters.filter((waiter) => waiter.position > position);
    for (const waiter of ready) waiter.resolve();
  }

  #broken(e: unknown): void {
    if (!isCoded(e, 'cursor_too_old')) {
      this.#fail(e);
      return;
    }
    this.#jumpToSnapshot().then(
      (newer) => {
        if (newer) this.#follow();
        else this.#fail(e);
      },
      (inSnapshot: unknown) => {
        this.#fail(inSnapshot);
      },
    );
  }

  #fail(e: unknown): void {
    if (this.#ended) return;
    const failure = e instanceof Error ? e : new Error(messageOf(e));
    this.#failure = failure;
    this.#end(failure);
    this.#states.error(failure);
  }

  #over(): boolean {
    return this.#ended !== undefined;
  }

  #end(reason: Error): void {
    this.#ended = reason;
    this.#subscription?.unsubscribe();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(reason);
  }
}
