"""The words, procedures and functions that `graph.readonly` knows, by store."""

from collections.abc import Mapping

FIRST_WORDS = frozenset({"MATCH", "OPTIONAL", "WITH", "UNWIND", "RETURN", "CALL"})
"""What a read-only query may start with."""

REFUSED_STARTS: Mapping[str, str] = {
    **dict.fromkeys(("EXPLAIN", "PROFILE", "CYPHER"), "is a prefix, and prefixes are not allowed"),
    **dict.fromkeys(("CREATE", "MERGE", "DELETE", "DETACH", "DROP", "SET", "REMOVE", "INSERT"), "writes"),
    **dict.fromkeys(("SHOW", "TERMINATE", "ALTER", "GRANT", "DENY", "REVOKE", "START", "STOP"), "administers"),
    **dict.fromkeys(("COPY", "LOAD", "EXPORT", "IMPORT", "ATTACH", "INSTALL"), "reaches outside the graph"),
    **dict.fromkeys(("BEGIN", "COMMIT", "ROLLBACK", "CHECKPOINT"), "controls transactions"),
    "USE": "changes the database",
}
"""Why a query that starts otherwise is refused."""

FORBIDDEN_WORDS = frozenset(
    {
        "CREATE",
        "MERGE",
        "SET",
        "DELETE",
        "DETACH",
        "NODETACH",
        "REMOVE",
        "DROP",
        "FOREACH",
        "INSERT",
        "LOAD",
        "USE",
    }
    | {"ALTER", "GRANT", "REVOKE", "TRANSACTIONS", "EXPLAIN", "PROFILE"}
)
"""Clauses that may stand in the middle of a query; refused wherever they are keywords."""

BEFORE_PARENTHESIS = frozenset(
    {"MATCH", "WHERE", "AND", "OR", "XOR", "NOT", "IN", "RETURN", "WITH", "UNWIND", "BY", "DISTINCT", "CASE"}
    | {
        "WHEN",
        "THEN",
        "ELSE",
        "LIMIT",
        "SKIP",
        "OFFSET",
        "CONTAINS",
        "CALL",
        "SHORTEST",
        "PATHS",
        "PATH",
        "GROUPS",
    }
    | {"ACYCLIC", "TRAIL", "WALK", "GROUP"}
)
"""Keywords that a pattern or a bracketed expression may follow."""

_COMMON = """
    avg collect count max min sum coalesce id labels keys nodes length properties size nullif
    reverse all any none single exists abs ceil floor round sign sqrt exp log log10 log2 pi sin cos tan
    asin acos atan atan2 cot degrees radians left right lower upper ltrim rtrim trim replace split
    substring tolower toupper startnode endnode rand date datetime timestamp duration
"""
_NEO4J = """
    percentilecont percentiledisc stdev stdevp elementid head last tail type valuetype toboolean
    tobooleanornull tofloat tofloatornull tointeger tointegerornull tostring tostringornull tobooleanlist
    tofloatlist tointegerlist tostringlist relationships isempty isnan e haversin sinh cosh tanh
    coth btrim normalize char_length character_length randomuuid time localtime localdatetime
    datetime.fromepoch datetime.fromepochmillis date.truncate datetime.truncate localdatetime.truncate
    time.truncate localtime.truncate duration.between duration.inmonths duration.indays duration.inseconds
    point point.distance point.withinbbox shortestpath allshortestpaths vector.similarity.cosine
    vector.similarity.euclidean
"""
_LADYBUG = """
    stdev stddev rels label offset list_concat list_append list_prepend list_contains list_has
    list_position list_extract list_element list_slice list_sort list_reverse_sort list_sum list_product
    list_distinct list_unique list_len list_any_value list_reverse list_to_string list_transform
    list_filter list_creation array_concat array_value array_contains array_distance
    array_squared_distance array_dot_product array_inner_product array_cosine_similarity
    array_cross_product array_extract array_length array_slice cast concat contains starts_with ends_with
    prefix suffix lcase ucase initcap string_split split_part levenshtein regexp_matches
    regexp_full_match regexp_replace regexp_extract regexp_extract_all regexp_split_to_array char_length
    array_to_string string to_int64 to_int32 to_double to_float to_string greatest least ifnull typeof
    hash md5 sha256 power pow mod even factorial gamma lgamma ln cbrt ceiling date_part datepart
    date_trunc datetrunc dayname monthname last_day make_date current_date current_timestamp to_timestamp
    epoch_ms century to_years to_months to_days to_hours to_minutes to_seconds interval struct_pack
    struct_extract map map_extract element_at cardinality map_keys map_values is_trail is_acyclic cost
    uuid gen_random_uuid count_if
"""

FUNCTIONS: Mapping[str, frozenset[str]] = {
    "neo4j": frozenset((_COMMON + _NEO4J).split()),
    "ladybug": frozenset((_COMMON + _LADYBUG).split()),
}
"""Functions without side effects that read nothing but their arguments and the graph."""

PROCEDURES: Mapping[str, frozenset[str]] = {
    "neo4j": frozenset(
        {
            "db.labels",
            "db.relationshiptypes",
            "db.propertykeys",
            "db.schema.visualization",
            "db.schema.nodetypeproperties",
            "db.schema.reltypeproperties",
            "db.index.vector.querynodes",
            "db.index.vector.queryrelationships",
            "db.index.fulltext.querynodes",
            "db.index.fulltext.queryrelationships",
            "dbms.components",
        }
    ),
    "ladybug": frozenset({"show_tables", "table_info", "show_connection", "show_functions", "db_version"}),
}
"""Procedures that only read the graph or describe it."""
