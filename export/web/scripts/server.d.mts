import type { Server } from "node:http";

/** Serves the files of the first of `folders` that has them on `port` (0: any free one) of this machine. */
export function serve(folders: string[], port: number): Promise<Server>;
