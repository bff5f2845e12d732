import type { PlacedDocument, ResourceDocument } from '../../domain/resources/document.ts';
import type { ClusterLog } from '../../log/event-log.ts';
import type { BootstrapFile } from './bootstrap-file.ts';

/** A file; places in it are the paths. */
export const fileOf = (documents: readonly ResourceDocument[], digest = 'sha256:1'): BootstrapFile => ({
  digest,
  documents: documents.map((document): PlacedDocument => ({
    document,
    place: (path = []) => `all.yaml:${path.join('.')}`,
  })),
});
/** As an auth server is given it. */
export const from = (
  documents: readonly ResourceDocument[],
): { readonly bootstrap: () => Promise<BootstrapFile> } => ({
  bootstrap: () => Promise.resolve(fileOf(documents)),
});

/** The log of a process that ends after so many appends. */
export function failingAfter(log: ClusterLog, appends: number): ClusterLog {
  const { state } = log;
  let left = appends;
  const append: typeof state.append = async (...args) => {
    if (left-- <= 0) throw new Error('the process ended');
    return state.append(...args);
  };
  const cut = new Proxy(state, {
    get: (target, name) => {
      if (name === 'append') return append;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  return new Proxy(log, {
    get: (target, name) => {
      if (name === 'state') return cut;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
