import packageJson from '../../package.json' with { type: 'json' };

/** Set by the build; absent when the source runs as it is. */
declare const __GIT_REF__: string | undefined;

/** The version of this program, as package.json says it. */
export const version: string = packageJson.version;

/** Short commit the programs were built from; empty when not built. */
export const gitRef: string = typeof __GIT_REF__ === 'undefined' ? '' : __GIT_REF__;
