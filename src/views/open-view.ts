import { BehaviorSubject, type Subscription } from 'rxjs';
import { backoffMs, pause } from '../base/backoff.ts';
import { CodedError, isCoded, messageOf } from '../base/errors.ts';
import { earliest } from '../base/time.ts';
import type { Followable, Wanted } from '../log/event-log.ts';
import type { Followed, Position } from '../log/event.ts';
import { type Fold, storedState } from './stored-state.ts';
import type { Projection, View } from './view.ts';
import { Waiters } from './waiters.ts';

/**
 * Opens a read model: from its snapshot if there is one, then everything after. Resolves as soon as it
 * follows; to have all that was written so far, await `reached` with the log's head. When the log fails it
 * begins again, with growing pauses, and `failure` reports that in the meantime: after its position; from the
 * newest snapshot when the log was trimmed past it; from the oldest snapshot there is when the log has gone
 * back. Only an event that cannot be folded, or a log that is closed, ends it.
 * @throws what `log.snapshot` throws.
 */
export async function openView<State>(projection: Projection<State>, log: Followable): Promise<View<State>> {
  const { view, follow } = await restoreView(projection, log);
  follow();
  return view;
}

/** A view at its snapshot, which follows once it is told to. */
export interface Restored<State> {
  readonly view: View<State>;
  readonly follow: () => void;
}

/** The first half of `openView`, for views that begin to follow together. */
export async function restoreView<State>(
  projection: Projection<State>,
  log: Followable,
): Promise<Restored<State>> {
  const view = new FollowingView(projection, log);
  await view.restore();
  return {
    view,
    follow: () => {
      view.follow();
    },
  };
}

const retry = { baseMs: 100, maxMs: 5_000 };

class FollowingView<State> implements View<State> {
  readonly #projection: Projection<State>;
  readonly #log: Followable;
  readonly #states: BehaviorSubject<State>;
  readonly changes;
  readonly #waiters = new Waiters();
  readonly #closed = new AbortController();
  /** The state that is served. */
  #shown: Fold<State>;
  /** The state that is folded: the same, except while a view catches up again from before its position. */
  #fold: Fold<State>;
  #beginsAnew = false;
  /** The last event that was followed. */
  #seen: { readonly position: Position; readonly id: string } | undefined;
  #subscription: Subscription | undefined;
  #failures = 0;
  #attempt = 0;
  /** Why it has stopped for now, and the position it must reach first. */
  #standing: CodedError | undefined;
  #until: Position | undefined;
  /** For the next reading: `all` when there is no snapshot from which it could begin. */
  #wanted: Wanted = 'newest';
  #ended: Error | undefined;
  #failure: Error | undefined;

  constructor(projection: Projection<State>, log: Followable) {
    this.#projection = projection;
    this.#log = log;
    this.#shown = this.#fold = { state: projection.initial, position: 0 };
    this.#states = new BehaviorSubject(projection.initial);
    this.changes = this.#states.asObservable();
  }

  async restore(): Promise<void> {
    await this.#jumpForward();
  }

  state(): State {
    return this.#shown.state;
  }

  position(): Position {
    return this.#shown.position;
  }

  failure(): Error | undefined {
    return this.#failure ?? this.#standing;
  }

  reached(position: Position): Promise<void> {
    if (this.#standing) return Promise.reject(this.#standing);
    if (this.#shown.position >= position) return Promise.resolve();
    return this.#ended ? Promise.reject(this.#ended) : this.#waiters.until(position);
  }

  close(): void {
    if (this.#ended) return;
    this.#end(new CodedError('unavailable', `the view ${this.#projection.name} is closed`));
    this.#states.complete();
  }

  follow(): void {
    if (this.#over()) return;
    const wanted = this.#wanted;
    this.#wanted = 'newest';
    const subscription = this.#log.follow(this.#fold.position, this.#seenId(), wanted).subscribe({
      next: (followed) => {
        this.#take(followed);
      },
      error: (e: unknown) => {
        void this.#again(e);
      },
      complete: () => {
        this.#fail(new CodedError('unavailable', `the log of the view ${this.#projection.name} was closed`));
      },
    });
    // A log may deliver, and even end, before `subscribe` returns.
    if (this.#over()) subscription.unsubscribe();
    else this.#subscription = subscription;
  }

  #take(followed: Followed): void {
    if (this.#ended || followed.position <= this.#fold.position) return;
    this.#failures = 0;
    let { state } = this.#fold;
    try {
      if (followed.fact) state = this.#projection.apply(state, followed);
    } catch (e) {
      this.#fail(e);
      return;
    }
    const { position, id } = followed;
    this.#seen = id === undefined ? undefined : { position, id };
    this.#move({ state, position });
  }

  /** Of the event at its position; unknown after a snapshot. */
  #seenId(): string | undefined {
    return this.#seen?.position === this.#fold.position ? this.#seen.id : undefined;
  }

  #move(fold: Fold<State>): void {
    this.#fold = fold;
    if (this.#until !== undefined && fold.position >= this.#until) this.#settle();
    else if (!this.#beginsAnew) this.#show(fold);
  }

  #show(fold: Fold<State>): void {
    const changed = fold.state !== this.#shown.state;
    this.#shown = fold;
    if (changed) this.#states.next(fold.state);
    this.#waiters.reached(fold.position);
  }

  /**
   * Begins again after a failure of the log. A trim may be over at once, so only the second in a row is
   * reported.
   */
  async #again(e: unknown): Promise<void> {
    const attempt = ++this.#attempt;
    const over = (): boolean => this.#over() || attempt !== this.#attempt;
    this.#subscription?.unsubscribe();
    if (!isCoded(e)) {
      this.#fail(e);
      return;
    }
    try {
      await this.#rest(e);
      if (over()) return;
      if (isCoded(e, 'far_behind') && !(await this.#jumpForward())) this.#wanted = 'all';
      if (isCoded(e, 'cursor_too_old') && !(await this.#beginElsewhere())) this.#stand(e);
      if (!over()) await this.#resume(over);
    } catch (again) {
      if (!over()) void this.#again(again);
    }
  }

  async #rest(e: CodedError): Promise<void> {
    const failures = ++this.#failures;
    if (failures === 1 && (isCoded(e, 'cursor_too_old') || isCoded(e, 'far_behind'))) return;
    this.#stand(e);
    await pause(backoffMs(failures, retry.baseMs, retry.maxMs, 1), this.#closed.signal);
  }

  async #resume(over: () => boolean): Promise<void> {
    const from = this.#fold.position;
    const id = this.#seenId();
    if (id !== undefined && (await this.#log.holds?.(from, id)) === false)
      throw new CodedError('cursor_too_old', `the log has gone back: it has another event ${from}`);
    if (over()) return;
    this.follow();
    if (!this.#standing) return;
    const head = await this.#log.head?.();
    if (!over()) this.#settleAt(head ?? from + 1, from);
  }

  /** Returns whether there is another place to follow from. */
  async #beginElsewhere(): Promise<boolean> {
    if (await this.#jumpForward()) return true;
    const beginning = await this.#log.positionBefore?.(earliest);
    if (beginning === undefined) return false;
    this.#seen = undefined;
    const blank = { state: this.#fold.state, position: beginning };
    const { saidAgainWithinMs } = this.#projection;
    if (beginning > this.#fold.position) {
      // Trimmed past the view, and there is no snapshot from which it could continue.
      if (saidAgainWithinMs === undefined) return false;
      this.#move(blank);
      return true;
    }
    return this.#beginAnew(beginning);
  }

  /**
   * Its state is ahead of the log: it folds the log as it is now, and shows the result only when it has all
   * of it.
   */
  async #beginAnew(beginning: Position): Promise<boolean> {
    const { initial, saidAgainWithinMs } = this.#projection;
    const stored = await storedState(this.#projection, this.#log, -1);
    if (!stored && beginning > 0 && saidAgainWithinMs === undefined) return false;
    const { position } = this.#fold;
    this.#beginsAnew = true;
    this.#fold = stored ?? { state: initial, position: beginning };
    this.#stand(new CodedError('unavailable', `the log has gone back: it no longer has event ${position}`));
    return true;
  }

  /** Returns whether there is a snapshot newer than the view. */
  async #jumpForward(): Promise<boolean> {
    const stored = await storedState(this.#projection, this.#log, this.#fold.position);
    if (this.#ended || !stored) return false;
    this.#move(stored);
    return true;
  }

  #stand(e: CodedError): void {
    if (this.#ended) return;
    this.#standing = e;
    this.#until = undefined;
    this.#waiters.refuse(e);
  }

  /** It follows again, after `from`, and has caught up when it contains `head`. */
  #settleAt(head: Position, from: Position): void {
    if (head < from)
      throw new CodedError('cursor_too_old', `the log has gone back: it ends at ${head}, not at ${from}`);
    this.#until = head;
    if (this.#fold.position >= head) this.#settle();
  }

  #settle(): void {
    this.#standing = undefined;
    this.#until = undefined;
    this.#beginsAnew = false;
    this.#failures = 0;
    this.#show(this.#fold);
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
    this.#closed.abort();
    this.#subscription?.unsubscribe();
    this.#waiters.refuse(reason);
  }
}
