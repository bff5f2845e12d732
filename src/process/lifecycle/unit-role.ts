import { messageOf } from '../../base/errors.ts';
import { isOwnPidFile, removePidFile, writePidFile } from './pid-file.ts';
import type { ServiceManager } from './service-manager.ts';

/**
 * Whether this process is the main one, whose id is in the pid file and known to systemd, and what is
 * reported to both.
 */
export class UnitRole {
  readonly #manager: ServiceManager;
  readonly #pidFile: string | undefined;
  readonly #onMain: () => void;
  /** `first`: no other process speaks for the unit yet. */
  #is: 'first' | 'successor' | 'main' | 'former';
  #status = 'starting';
  #lastReload = '';

  constructor(
    manager: ServiceManager,
    options: { pidFile: string | undefined; hasPredecessor: boolean; onMain?: () => void },
  ) {
    this.#manager = manager;
    this.#pidFile = options.pidFile;
    this.#onMain = options.onMain ?? (() => undefined);
    this.#is = options.hasPredecessor ? 'successor' : 'first';
  }

  isMain(): boolean {
    return this.#is === 'main';
  }

  /**
   * Makes this process the main one. @throws CodedError `misconfigured` when the pid file cannot be written.
   */
  async beMain(status = this.#status): Promise<void> {
    this.#is = 'main';
    this.#status = status;
    writePidFile(this.#pidFile);
    this.#onMain();
    await this.#manager.ready(this.#text());
  }

  say(status: string): void {
    this.#status = status;
    if (this.#speaks()) void this.#manager.status(this.#text());
  }

  /** Before it is ready systemd does not know reloads. */
  reloading(): void {
    if (this.#is === 'main') void this.#manager.reloading();
  }

  reloadFailed(e: unknown): void {
    this.#lastReload = `; the last reload failed: ${messageOf(e)}`;
    if (this.#is === 'main') {
      this.#reclaim();
      void this.#manager.ready(this.#text());
    } else if (this.#speaks()) void this.#manager.status(this.#text());
  }

  /** Another process is the main one. */
  handOver(): void {
    this.#is = 'former';
  }

  stopping(): Promise<void> {
    return this.#is === 'main' ? this.#manager.stopping() : Promise.resolve();
  }

  /** Nothing serves any more. */
  leave(): void {
    if (this.#is === 'main') removePidFile(this.#pidFile);
  }

  /**
   * A successor makes itself the main one before it says that it is ready. When it ends in between, its id
   * would stay in the file.
   */
  #reclaim(): void {
    try {
      if (!isOwnPidFile(this.#pidFile)) writePidFile(this.#pidFile);
    } catch (e) {
      this.#lastReload += `; ${messageOf(e)}`;
    }
  }

  #speaks(): boolean {
    return this.#is === 'main' || this.#is === 'first';
  }

  #text(): string {
    return `${this.#status}${this.#lastReload}`;
  }
}
