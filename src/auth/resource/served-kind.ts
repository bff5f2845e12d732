import type { Call } from '../../api/server-deps.ts';
import type { ResourceDocument } from '../../domain/resources/document.ts';
import type { KindOfResource } from '../../domain/resources/kind.ts';
import type { Position } from '../../log/event.ts';
import type { AuthDeps } from '../deps.ts';
import type { PastKind } from './past-kind.ts';

/** One change of one resource. */
export interface Wish {
  /** Read by the schema of its kind. */
  readonly document: ResourceDocument;
  /** As it was when the caller's revision was compared; undefined: there was none. */
  readonly before: ResourceDocument | undefined;
  /** The head of `state` by which that was read. */
  readonly asOf: Position;
}

/** What a change leads to. */
export interface Plan {
  /** Asked again once it is carried out: another cluster may have had its say. */
  readonly after: ResourceDocument;
  readonly notices?: readonly string[];
  /** It changes what no document shows, so it is carried out even where the document stays the same. */
  readonly isAlwaysCarriedOut?: true;
  /** Carries it out. Resolves to where it is on the log; undefined where nothing had to be written. */
  commit(): Promise<Position | undefined>;
}

/** The deletion of one resource, of which nothing is known that prevents it. */
export interface Removal {
  /** Carries it out. Resolves to where it is on the log. */
  commit(): Promise<Position>;
}

/** For kinds of which each resource can be deleted. */
export const removal =
  (remove: (deps: AuthDeps, call: Call, name: string) => Promise<{ readonly position: Position }>) =>
  (deps: AuthDeps, call: Call, name: string): Promise<Removal> =>
    Promise.resolve({ commit: async () => (await remove(deps, call, name)).position });

/** What an auth server does with one kind. Views are fresh when it is asked. */
export interface ServedKind {
  readonly kind: KindOfResource;
  readonly list: (deps: AuthDeps, call: Call) => Promise<readonly ResourceDocument[]>;
  /** Left out: it is looked for in the list. */
  readonly find?: (deps: AuthDeps, call: Call, name: string) => Promise<ResourceDocument | undefined>;
  /** Left out: the log does not keep what it was, or not in a form that can be asked for. */
  readonly past?: PastKind;
  /** Left out where `kind.notWritten` says why. @throws CodedError as the use case of that change. */
  readonly create?: (deps: AuthDeps, call: Call, wish: Wish) => Promise<Plan>;
  readonly update?: (deps: AuthDeps, call: Call, wish: Wish) => Promise<Plan>;
  /** Left out where `kind.notDeleted` says why. @throws CodedError with why this one is not deleted. */
  readonly remove?: (deps: AuthDeps, call: Call, name: string) => Promise<Removal>;
}
